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
#include "server/core/effects/effect_kind.h"
#include "server/core/ports.h"

namespace shadow {

// A fit on its way to a background worker and back. The effect, its result and who carries it out
// share it, because effects are copied.
struct FitTask {
  std::unique_ptr<FitWork> work;  // To be run once.
};

struct PoolEntry;  // server/core/loop/world.h

struct Effect {
  using Kind = EffectKind;

  uint64_t id = 0;
  Kind kind = Kind::kCreate;
  std::string request_id;  // Of the request that led to it at once, for the log; empty: none did.
  std::shared_ptr<const CompiledProvider> provider;  // Of an instance, or of a list.
  // Its balancer and usage sources; of kScore with its learned leads. Unset: kListInstances.
  std::shared_ptr<const CompiledPool> pool;
  InstanceSpec instance;
  std::string address;                  // kWarmUp.
  std::vector<Assignment> assignments;  // kAssign.
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
  std::optional<Provider::Differences> differences;  // kVerify; unset: not known yet.
  AssignResult assigned;                             // kAssign.
  BalancerView balancer;                             // kViewBalancer.
  UsageReading usage;                                // kReadUsage.
  v1::ObserveScore score;                            // kScore.
  std::shared_ptr<FitTask> fit;                      // kFit: has run.
  std::shared_ptr<PoolEntry> learner;                // kLearn: has learned.
};

}  // namespace shadow
