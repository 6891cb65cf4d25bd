#include "server/workers/dna_checks.h"

#include <stop_token>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"

namespace shadow {
namespace {

absl::Status Ending() { return absl::UnavailableError("the daemon is ending"); }

// The lane's own words for a call that has not returned in time, or that it does not begin.
absl::Status Silent(const absl::Status& status) {
  return ReasonError(absl::IsAborted(status) ? absl::StatusCode::kUnavailable : status.code(),
                     "PROVIDER_SILENT",
                     std::string_view(status.message().data(), status.message().size()));
}

}  // namespace

DnaChecks::DnaChecks(Get get, Clock& clock, absl::Duration slack)
    : get_(std::move(get)), slack_(slack), lanes_(clock, [this](const EffectResult& result) {
        // A call that returns gives its answer itself.
        if (!result.status.ok()) OnAnswer(result.id, Silent(result.status));
      }) {}

DnaChecks::~DnaChecks() { Stop(); }

void DnaChecks::Ask(const DnaQuestion& question, Done done) {
  std::vector<Lanes::Job> jobs;
  std::vector<Provider*> providers;
  for (const auto& provider : question.providers) {
    const absl::StatusOr<Provider*> made = get_(*provider);
    if (!made.ok()) continue;
    jobs.push_back({.lane = absl::StrCat("DNA checks of provider ", provider->key),
                    .in_flight_max = kCallsMax,
                    .time_limit = provider->traits.call_time + slack_});
    providers.push_back(*made);
  }
  if (jobs.empty()) return done(absl::OkStatus());
  {
    std::unique_lock lock(mutex_);
    absl::Status refused;
    if (refusing_) {
      refused = Ending();
    } else if (asked_.size() >= kQuestionsMax) {
      refused = absl::ResourceExhaustedError(
          absl::StrCat(kQuestionsMax, " checks of DNAs have no answer yet"));
    }
    if (!refused.ok()) {
      lock.unlock();
      return done(refused);
    }
    const uint64_t id = ++last_id_;
    asked_[id] = {.done = std::move(done), .open = static_cast<int>(jobs.size())};
    for (Lanes::Job& job : jobs) {
      job.id = ++last_id_;
      calls_[job.id] = id;
    }
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].run = [this, call = jobs[i].id, provider = providers[i],
                   question](const std::stop_token&) {
      const absl::Status status = provider->Supports(*question.dna);
      OnAnswer(call, question.meaning_alone && absl::IsFailedPrecondition(status) ? absl::OkStatus()
                                                                                  : status);
      return EffectResult();
    };
    lanes_.Submit(std::move(jobs[i]));
  }
}

void DnaChecks::OnAnswer(uint64_t call, const absl::Status& status) {
  Done done;
  {
    const std::lock_guard lock(mutex_);
    const auto of_call = calls_.extract(call);
    if (of_call.empty()) return;  // It had been given up on.
    const auto asked = asked_.find(of_call.mapped());
    if (asked == asked_.end()) return;  // Another provider has refused.
    --asked->second.open;
    if (status.ok() && asked->second.open > 0) return;
    done = std::move(asked->second.done);
    asked_.erase(asked);
  }
  done(status);
}

void DnaChecks::Refuse() {
  std::map<uint64_t, Asked> waiting;
  {
    const std::lock_guard lock(mutex_);
    refusing_ = true;
    waiting.swap(asked_);
  }
  for (const auto& [id, asked] : waiting) asked.done(Ending());
}

void DnaChecks::Stop() {
  Refuse();
  lanes_.Stop();
}

}  // namespace shadow
