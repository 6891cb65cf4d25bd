#include "server/recovery.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr int64_t kReplayPage = 500'000;  // Samples in memory at a time.

void FitLost(ControlLoop& loop, StepWorkers& workers) {
  const std::vector<Forecaster*> lost = loop.LostFits();
  workers.Run(lost.size(), [&lost](size_t i) { lost[i]->Fit(); });
}

// The samples of many pools, in the order of their time, until a page of them is replayed.
class ReplayBuffer {
 public:
  ReplayBuffer(ControlLoop& loop, StepWorkers& workers) : loop_(loop), workers_(workers) {}

  void Add(const std::string& pool, v1::Sample sample) {
    samples_[pool].push_back(std::move(sample));
    if (++count_ >= kReplayPage) Flush();
  }

  void Flush() {
    std::vector<const std::pair<const std::string, std::vector<v1::Sample>>*> pools;
    for (const auto& pool : samples_) pools.push_back(&pool);
    workers_.Run(pools.size(), [&](size_t i) { loop_.Replay(pools[i]->first, pools[i]->second); });
    samples_.clear();
    count_ = 0;
  }

 private:
  ControlLoop& loop_;
  StepWorkers& workers_;
  std::map<std::string, std::vector<v1::Sample>> samples_;  // By pool.
  int64_t count_ = 0;
};

}  // namespace

absl::Status Relearn(Store& store, ControlLoop& loop, StepWorkers& workers, absl::Time now) {
  FitLost(loop, workers);  // What is replayed goes by them.
  for (const auto& [id, pool] : loop.world().pools) {
    if (pool.record.has_first_sample_time()) continue;
    const std::string& name = pool.record.pool().name();
    const auto first = store.ReadSamples(name, absl::InfinitePast(), now, 1);
    if (!first.ok()) return first.status();
    if (!first->empty()) loop.SetFirstSample(name, FromProto(first->front().time()));
  }
  std::map<std::string, absl::Time> after;
  for (const auto& [id, pool] : loop.world().pools) {
    const std::string& name = pool.record.pool().name();
    after[name] = loop.ReplayFrom(name);
  }
  ReplayBuffer replayed(loop, workers);
  const absl::Status status = store.ScanSamples(
      after, now,
      [&](const std::string& pool, v1::Sample sample) { replayed.Add(pool, std::move(sample)); });
  if (!status.ok()) return status;
  replayed.Flush();
  FitLost(loop, workers);  // That count since; those that are only due are made in the background.
  return absl::OkStatus();
}

}  // namespace shadow
