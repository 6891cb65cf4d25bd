// What the core wants done, as data, and what came of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "forecast/forecaster.h"
#include "server/core/ports.h"

namespace shadow {

// A fit on its way to a background worker and back. The effect, its result and who carries it out
// share it, because effects are copied.
struct FitTask {
  std::unique_ptr<FitWork> work;  // To be run once.
};

struct PoolEntry;  // server/core/loop/world.h

struct Effect {
  enum class Kind {
    // On one instance.
    kCreate,
    kAwaitReady,  // Inspect, and the ready check once it runs.
    kVerify,      // Inspect with facts.
    kSuspend,
    kResume,
    kWarmUp,
    kDestroy,  // Then Inspect.
    kKill,     // The same by force.
    // On one member of a balancer, by `address`.
    kAdd,
    kSetWeight,
    kDrain,
    kRemove,
    // Looks at the world.
    kListInstances,  // Of one provider.
    kListBalancer,   // Of one pool.
    kReadUsage,      // Of one pool, samples after `since`.
    kScore,          // Of one pool: what AUTOMATIC would have meant. May take minutes.
    kFit,            // Of one pool's forecaster: `fit` alone, on any thread. Takes milliseconds.
    kLearn,  // Of one pool: LearnAgain (server/core/loop/learning/backfill.h). Takes seconds.
  };
  uint64_t id = 0;
  Kind kind = Kind::kCreate;
  std::string provider;
  // Its balancer and usage sources; of kScore with its learned leads. Unset: kListInstances.
  std::shared_ptr<const CompiledPool> pool;
  InstanceSpec instance;
  std::string address;
  int weight_percent = 0;
  absl::Time since;
  std::shared_ptr<FitTask> fit;
  // kLearn: who learns, and the samples before `until`. Shared as `fit` is.
  std::shared_ptr<PoolEntry> learner;
  absl::Time until;
};

struct EffectResult {
  uint64_t id = 0;
  absl::Status status;
  bool ready = false;                      // kAwaitReady: it runs and its check passed.
  std::string not_ready;                   // kAwaitReady: why its check failed, if it was made.
  std::optional<Observation> observation;  // kAwaitReady, kVerify, kDestroy, kKill.
  std::vector<Observation> instances;      // kListInstances.
  BalancerView balancer;                   // kListBalancer.
  UsageReading usage;                      // kReadUsage.
  v1::ObserveScore score;                  // kScore.
  std::shared_ptr<FitTask> fit;            // kFit: has run.
  std::shared_ptr<PoolEntry> learner;      // kLearn: has learned.
};

}  // namespace shadow
