#include "server/recovery.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/core/time_proto.h"
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

}  // namespace

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
