#include "server/recovery.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/names.h"
#include "server/core/time_proto.h"
#include "server/log/log.h"
#include "spdlog/spdlog.h"

namespace shadow {
namespace {

constexpr int64_t kReplayPage = 500'000;  // Samples in memory at a time.

void FitLost(ControlLoop& loop, StepWorkers& workers) {
  const std::vector<Forecaster*> lost = loop.LostFits();
  workers.Run(lost.size(), [&lost](size_t i) { lost[i]->Fit(); });
}

// The samples of one pool after the other, until a page of them is replayed.
class ReplayBuffer {
 public:
  ReplayBuffer(ControlLoop& loop, StepWorkers& workers) : loop_(loop), workers_(workers) {}

  void Add(const std::string& pool, v1::Sample sample) {
    if (pools_.empty() || pools_.back().name != pool) pools_.push_back({.name = pool});
    pools_.back().samples.push_back(std::move(sample));
    if (++count_ >= kReplayPage) Flush();
  }

  void Flush() {
    workers_.Run(pools_.size(),
                 [this](size_t i) { loop_.Replay(pools_[i].name, pools_[i].samples); });
    pools_.clear();
    count_ = 0;
  }

 private:
  struct PoolSamples {
    std::string name;
    std::vector<v1::Sample> samples = {};
  };

  ControlLoop& loop_;
  StepWorkers& workers_;
  std::vector<PoolSamples> pools_;
  int64_t count_ = 0;
};

absl::StatusOr<std::vector<std::string>> IdsAhead(Provider& provider, int64_t revision) {
  const auto all = provider.List();
  if (!all.ok()) return all.status();
  std::vector<std::string> ids;
  for (const Observation& one : *all) {
    if (InstanceNumber(one.id) > revision && one.life != Life::kAbsent) ids.push_back(one.id);
  }
  return ids;
}

}  // namespace

absl::Status CheckNoneAhead(Provider& provider, int64_t revision) {
  const auto ahead = IdsAhead(provider, revision);
  if (!ahead.ok() || ahead->empty()) return ahead.status();
  constexpr size_t kNamed = 5;
  const std::vector<std::string> named(
      ahead->begin(),
      ahead->begin() + static_cast<std::ptrdiff_t>(std::min(kNamed, ahead->size())));
  return absl::DataLossError(absl::StrCat(
      ahead->size(),
      " instances live that the store has no record of, though it has not given out "
      "their ids yet (its last revision is ",
      revision, "): ", absl::StrJoin(named, ", "), ahead->size() > kNamed ? ", ..." : "",
      ". A newer state.db was lost or replaced by an older "
      "copy. Nothing was touched. Put the newer one back, or end these instances with "
      "--recover=end"));
}

absl::Status EndThoseAhead(Provider& provider, int64_t revision, Clock& clock) {
  constexpr absl::Duration kPatience = absl::Seconds(30);
  const absl::Duration deadline = clock.Now().mono + kPatience;
  std::mutex mutex;
  std::condition_variable never;
  while (true) {
    const auto ahead = IdsAhead(provider, revision);
    if (!ahead.ok() || ahead->empty()) return ahead.status();
    for (const std::string& id : *ahead) {
      Log(LogLevel::kWarning, {.instance = id}, "ended: the store has no record of it");
      InstanceSpec instance;
      instance.id = id;
      absl::Status status = provider.ApplyOne(InstanceOp::Kind::kKill, instance);
      if (!status.ok()) return status;
    }
    if (clock.Now().mono >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("instance ", ahead->front(), " lives on"));
    }
    std::unique_lock lock(mutex);
    clock.WaitUntil(lock, never, clock.Now().mono + absl::Milliseconds(100));
  }
}

absl::Status Relearn(Store& store, ControlLoop& loop, StepWorkers& workers, absl::Time now) {
  FitLost(loop, workers);  // What is replayed goes by them.
  for (const auto& [id, pool] : loop.world().pools) {
    if (pool.record.has_first_sample_time()) continue;
    const std::string& name = pool.record.pool().name();
    const auto first =
        store.ReadSamples(name, absl::InfinitePast(), now, FromProto(pool.record.pool().step()), 1);
    if (absl::IsDataLoss(first.status())) continue;  // It is named below.
    if (!first.ok()) return first.status();
    if (!first->empty()) loop.SetFirstSample(name, FromProto(first->front().time()));
  }
  std::map<std::string, Store::From> from;
  for (const auto& [id, pool] : loop.world().pools) {
    const std::string& name = pool.record.pool().name();
    from[name] = {.after = loop.ReplayFrom(name), .coarsest = FromProto(pool.record.pool().step())};
  }
  ReplayBuffer replayed(loop, workers);
  const absl::StatusOr<std::vector<std::string>> damaged = store.ScanSamples(
      from, now,
      [&](const std::string& pool, v1::Sample sample) { replayed.Add(pool, std::move(sample)); });
  if (!damaged.ok()) return damaged.status();
  for (const std::string& piece : *damaged) spdlog::error("{}; learnt without them", piece);
  replayed.Flush();
  FitLost(loop, workers);  // That count since; those that are only due are made in the background.
  return absl::OkStatus();
}

}  // namespace shadow
