// Carries effects out: a fixed set of workers that call providers, balancers and usage sources, and
// workers of their own for what waits for an instance to answer and for fits.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/background_workers.h"
#include "server/core/effect.h"
#include "server/core/loop/learning/backfill.h"
#include "server/core/ports.h"
#include "server/probe_workers.h"

namespace shadow {

// What the seams are made of here; filled by daemon.cc.
struct Adapters {
  std::map<std::string, std::unique_ptr<Provider>> providers;  // By the name that pools use.
  std::unique_ptr<Prober> prober;
  std::function<std::unique_ptr<Balancer>(const v1::Balancer&)> make_balancer;
  // nullptr: this kind is not polled.
  std::function<std::unique_ptr<UsageSource>(const v1::UsageSource&)> make_usage_source;
  // Scores `pool`, which is shown with its leads, and calls `done` with what came of it, on another
  // thread or at once. Returns at once. kFailedPrecondition: too little history. kCancelled: it
  // gave way to other work.
  using Scored = std::function<void(absl::StatusOr<v1::ObserveScore>)>;
  std::function<void(const v1::Pool& pool, Scored done)> score;
  ReadSamples read_samples;  // Of the store.
};

// Thread-safe. The queue is bounded by the control loop: one effect for each instance and a few for
// each pool are in flight.
class EffectRunner {
 public:
  // `adapters` must outlive it. `done` is called once for each effect: on a
  // worker, or where `Adapters::score` calls it.
  EffectRunner(Adapters& adapters, int workers, std::function<void(EffectResult)> done);

  // Stop.
  ~EffectRunner();

  void Submit(Effect effect);

  // Nobody wants this effect's result any more. A ready check or a warm-up then ends within about a
  // second; everything else is quick anyway and goes on. `done` is called as ever.
  void Cancel(uint64_t id) { probes_.Cancel(id); }

  // The pool is gone: so is what its adapters counted, for one that will have its name.
  void Forget(const std::string& pool);

  // Interrupts probes, waits for the other effects that have begun and drops those that have not.
  // Afterwards nothing is taken any more. A score that has begun is its adapter's to end.
  void Stop();

 private:
  // The balancer and the usage source of one pool; kept while their specs stay the same, as they
  // hold counters.
  struct PoolAdapters {
    std::shared_ptr<const CompiledPool> pool;
    std::shared_ptr<Balancer> balancer;
    std::shared_ptr<UsageSource> usage;  // Null: samples are pushed. A spec has one other at most.
  };

  void Work();
  EffectResult Run(const Effect& effect);
  EffectResult RunProbe(const Effect& effect, const std::stop_token& stop);
  void RunOnInstance(const Effect& effect, Provider& provider, EffectResult& result);
  void RunAtBalancer(const Effect& effect, EffectResult& result);
  void ReadUsage(const Effect& effect, EffectResult& result);
  void Score(const Effect& effect);
  void Fit(const Effect& effect);
  void Learn(const Effect& effect);
  PoolAdapters AdaptersOf(const Effect& effect);

  Adapters& adapters_;
  const std::function<void(EffectResult)> done_;
  std::mutex pools_mutex_;
  std::map<std::string, PoolAdapters> pools_;  // By pool name.

  std::mutex queue_mutex_;
  std::condition_variable filled_;
  std::deque<Effect> queue_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
  // Last: their workers use what is above.
  ProbeWorkers probes_;
  BackgroundWorkers background_;
};

}  // namespace shadow
