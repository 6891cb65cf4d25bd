#include "server/recovery.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "spdlog/spdlog.h"

namespace shadow {
namespace {

constexpr int64_t kReplayPage = 500'000;  // Samples in memory at a time.

void FitDue(ControlLoop& loop, StepWorkers& workers) {
  const std::vector<Forecaster*> due = loop.DueFits();
  workers.Run(due.size(), [&due](size_t i) { due[i]->Fit(); });
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
  FitDue(loop, workers);  // What is replayed goes by forecasts.
  std::map<std::string, absl::Time> after;
  for (const auto& [id, pool] : loop.world().pools) {
    const std::string& name = pool.record.pool().name();
    after[name] = loop.ReplayFrom(name);
  }
  ReplayBuffer replayed(loop, workers);
  const absl::StatusOr<std::vector<std::string>> damaged = store.ScanSamples(
      after, now,
      [&](const std::string& pool, v1::Sample sample) { replayed.Add(pool, std::move(sample)); });
  if (!damaged.ok()) return damaged.status();
  for (const std::string& piece : *damaged) spdlog::error("{}; learnt without them", piece);
  replayed.Flush();
  FitDue(loop, workers);
  return absl::OkStatus();
}

}  // namespace shadow
