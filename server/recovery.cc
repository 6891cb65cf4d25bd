#include "server/recovery.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace shadow {
namespace {

constexpr int64_t kReplayPage = 500'000;  // Samples in memory at a time.

// `work(0)` to `work(count - 1)`, each once, on all cores.
template <typename Work>
void OnAllCores(size_t count, const Work& work) {
  std::atomic<size_t> next = 0;
  const auto take = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> others(std::max(1U, std::thread::hardware_concurrency()) - 1);
  for (std::jthread& other : others) other = std::jthread(take);
  take();
}

void FitDue(ControlLoop& loop) {
  const std::vector<Forecaster*> due = loop.DueFits();
  OnAllCores(due.size(), [&](size_t i) { due[i]->Fit(); });
}

// The samples of many pools, in the order of their time, until a page of them is replayed.
class Replayed {
 public:
  explicit Replayed(ControlLoop& loop) : loop_(loop) {}

  void Add(const std::string& pool, v1::Sample sample) {
    samples_[pool].push_back(std::move(sample));
    if (++count_ >= kReplayPage) Flush();
  }

  void Flush() {
    std::vector<const std::pair<const std::string, std::vector<v1::Sample>>*> pools;
    for (const auto& pool : samples_) pools.push_back(&pool);
    OnAllCores(pools.size(), [&](size_t i) { loop_.Replay(pools[i]->first, pools[i]->second); });
    samples_.clear();
    count_ = 0;
  }

 private:
  ControlLoop& loop_;
  std::map<std::string, std::vector<v1::Sample>> samples_;  // By pool.
  int64_t count_ = 0;
};

}  // namespace

absl::Status Relearn(Store& store, ControlLoop& loop, absl::Time now) {
  FitDue(loop);  // What is replayed goes by forecasts.
  std::map<std::string, absl::Time> after;
  for (const auto& [id, pool] : loop.world().pools) {
    const std::string& name = pool.record.pool().name();
    after[name] = loop.ReplayFrom(name);
  }
  Replayed replayed(loop);
  const absl::Status status = store.ScanSamples(
      after, now,
      [&](const std::string& pool, v1::Sample sample) { replayed.Add(pool, std::move(sample)); });
  if (!status.ok()) return status;
  replayed.Flush();
  FitDue(loop);
  return absl::OkStatus();
}

}  // namespace shadow
