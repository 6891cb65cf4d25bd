// Carries effects out: chooses the seams and the lane of each, and begins what needs no seam.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "server/adapters.h"
#include "server/core/clock.h"
#include "server/core/effects/carry_out.h"
#include "server/log/log.h"
#include "server/workers/background_workers.h"
#include "server/workers/call_counts.h"
#include "server/workers/lanes.h"

namespace shadow {

// Thread-safe. What is under way is bounded by the control loop: one effect for each instance and a
// few for each pool.
class EffectRunner {
 public:
  // Calls at one time, of each: of a provider it is up to who makes the runner.
  static constexpr int kBalancerCallsMax = 4;
  static constexpr int kUsageCallsMax = 2;
  // A pool has four lanes of probes: checks and warm-ups, of the base and of its shadows.
  static constexpr int kProbesMax = 8;
  // The seams promise 2 s (a provider what its traits say, a probe that much beyond its DNA's
  // timeout): who takes 8 s longer has broken that.
  static constexpr absl::Duration kPromise = absl::Seconds(2);
  static constexpr absl::Duration kCallTimeLimit = absl::Seconds(10);

  struct Options {
    int provider_calls_max = 8;  // At one time, of each provider; a list has a lane of its own.
    absl::Duration call_time_limit = kCallTimeLimit;  // Of a provider by its traits.
  };

  // `adapters` and `clock` must outlive it. `done` is called once for each effect that Stop does
  // not drop: on a worker, by Submit or Cancel, or where `Adapters::score` calls it. At log_level
  // "debug" each has a line then, also one that was abandoned.
  EffectRunner(Adapters& adapters, Clock& clock, const Options& options,
               std::function<void(EffectResult)> done);

  // Stop.
  ~EffectRunner();

  void Submit(Effect effect);

  // Nobody wants this effect's result any more: one that waits does not begin, and a ready check or
  // a warm-up ends within about a second. `done` is called as ever.
  void Cancel(uint64_t id);

  // The pool is gone: so is what its adapters counted, for one that will have its name.
  void Forget(const std::string& pool);

  // Interrupts probes, waits for the other effects that have begun and drops those that have not.
  // Afterwards nothing is taken any more. A score that has begun is its adapter's to end, before
  // this is destroyed.
  void Stop();

  const CallCounts& counts() const { return counts_; }

 private:
  // The balancer and the usage source of one pool; kept while their specs stay the same, as they
  // hold counters.
  struct PoolAdapters {
    std::shared_ptr<const CompiledPool> pool;
    std::shared_ptr<Balancer> balancer;
    std::shared_ptr<UsageSource> usage;  // Null: samples are pushed. A spec has one other at most.
  };
  // What becomes of an effect with its result: a count, and a log line.
  struct UnderWay {
    EffectKind kind;
    LogFields fields;      // Empty where no line is wanted.
    absl::Duration begun;  // Monotonic: its call, or before that Submit.
  };

  // `job`: but for its id and what it runs. `owner` keeps alive what `seams` point to; null: they
  // outlive this.
  void Call(Lanes& lanes, Lanes::Job job, Effect effect, Seams seams,
            std::shared_ptr<const void> owner);
  void CallProvider(Effect effect);
  void Probe(Effect effect);
  void CallBalancer(Effect effect);
  void ReadUsage(Effect effect);
  void Score(const Effect& effect);
  void Fit(const Effect& effect);
  void Learn(const Effect& effect);
  // nullptr: it cannot be made, and the effect has its result.
  Provider* ProviderOf(const Effect& effect);
  absl::Duration TimeLimit(const Effect& effect) const;
  bool MayAct() const { return !adapters_.may_act || adapters_.may_act(); }
  void Note(const Effect& effect);
  void NoteBegun(uint64_t id);
  // Counts and logs the effect, and passes its result on.
  void Done(EffectResult result);
  PoolAdapters AdaptersOf(const Effect& effect);

  Adapters& adapters_;
  Clock& clock_;
  const Options options_;
  const std::function<void(EffectResult)> done_;
  CallCounts counts_;
  std::mutex mutex_;
  std::map<std::string, PoolAdapters> pools_;  // By pool name.
  std::map<uint64_t, UnderWay> under_way_;     // By effect; those that were noted.
  // Last: their workers use what is above. Probes may hang as long as their DNA allows, so all of
  // them together keep no worker from the calls.
  Lanes calls_;
  Lanes probes_;
  BackgroundWorkers background_;
};

}  // namespace shadow
