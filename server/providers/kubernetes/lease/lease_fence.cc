#include "server/providers/kubernetes/lease/lease_fence.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow {

using Standing = LeaseElection::Standing;

LeaseFence::LeaseFence(std::unique_ptr<LeaseSeat> seat, const Options& options, Clock& clock)
    : seat_(std::move(seat)),
      options_(options),
      clock_(clock),
      election_(*seat_, clock, options.identity, options.duration) {}

absl::StatusOr<std::unique_ptr<LeaseFence>> LeaseFence::Await(std::unique_ptr<LeaseSeat> seat,
                                                              const Options& options,
                                                              Clock& clock) {
  std::unique_ptr<LeaseFence> fence(new LeaseFence(std::move(seat), options, clock));
  if (absl::Status acquired = fence->Acquire(); !acquired.ok()) return acquired;
  fence->Begin();
  return fence;
}

absl::Status LeaseFence::Acquire() {
  std::string told;
  while (true) {
    const LeaseElection::Round round = election_.Next();
    if (round.standing == Standing::kHeld) {
      Extend(round.renewed);
      return absl::OkStatus();
    }
    if (round.why != told) options_.on_wait(round.why);
    told = round.why;
    if (!options_.wait(Pause())) {
      // What was written in the meantime may be ours.
      election_.Release().IgnoreError();
      return absl::CancelledError("told to end while waiting for the Lease");
    }
  }
}

void LeaseFence::Begin() {
  renewer_ = std::thread([this, first = clock_.Now().mono + Pause()] { Renew(first); });
  watcher_ = std::thread([this] { Watch(); });
}

LeaseFence::~LeaseFence() { Stop(); }

void LeaseFence::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (renewer_.joinable()) renewer_.join();
  if (watcher_.joinable()) watcher_.join();
}

bool LeaseFence::Holds() const {
  return absl::ToInt64Nanoseconds(clock_.Now().mono) < holds_until_ns_.load();
}

absl::Status LeaseFence::Release() {
  Stop();
  holds_until_ns_ = 0;
  return election_.Release();
}

void LeaseFence::Extend(absl::Duration renewed) {
  holds_until_ns_ = absl::ToInt64Nanoseconds(renewed + options_.renew_deadline);
}

void LeaseFence::Renew(absl::Duration next) {
  std::unique_lock lock(mutex_);
  while (!stopping_ && !lost_) {
    while (!stopping_ && clock_.Now().mono < next) clock_.WaitUntil(lock, wake_, next);
    if (stopping_) return;
    // From its begin: a round that took long must not put off the next.
    next = clock_.Now().mono + Pause();
    lock.unlock();
    const LeaseElection::Round round = election_.Next();
    if (round.standing == Standing::kHeld) Extend(round.renewed);
    if (round.standing == Standing::kLost) Lose(round.why);
    lock.lock();
    trouble_ = round.why;
  }
}

// A renewal may hang; this does not.
void LeaseFence::Watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_ && !lost_) {
    const absl::Duration until = absl::Nanoseconds(holds_until_ns_.load());
    if (clock_.Now().mono < until) {
      clock_.WaitUntil(lock, wake_, until);
      continue;
    }
    const std::string why =
        absl::StrCat("it was not renewed for ", absl::FormatDuration(options_.renew_deadline),
                     trouble_.empty() ? "" : ": ", trouble_);
    lock.unlock();
    Lose(why);
    lock.lock();
  }
}

void LeaseFence::Lose(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || std::exchange(lost_, true)) return;
    holds_until_ns_ = 0;
  }
  options_.on_lost(absl::StrCat("the Lease ", seat_->name(), " is lost: ", why));
}

}  // namespace shadow
