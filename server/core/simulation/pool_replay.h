// One pool under one policy on a virtual clock: the real control loop, with instances that only
// take their time. Pure: no I/O, no clock, no thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/loop/control_loop.h"
#include "server/core/simulation/score.h"
#include "server/core/simulation/shared_forecast.h"
#include "shadow/v1/pool.pb.h"

namespace shadow::simulation {

// How long the virtual instances take.
struct Leads {
  absl::Duration provisioning;  // Create until suspended and verified.
  absl::Duration activation;    // Resume until it serves.
};

inline constexpr int kReplayInstancesMax = 100'000;  // Where nothing is known of the host.

// First Learn for each step of history, then Start, then for each step Begin and Decide, in turn.
// Several replays that share a forecast go in lockstep: each does one of these before any does the
// next.
class PoolReplay {
 public:
  // `spec` is compiled, with an external base, no balancer and pushed usage (ReplaySpec). `start`
  // is the first step that is decided on. kInternal: the loop does not take the spec. `forecast`
  // must outlive this. `instances_max`: that the host takes, beside the base.
  static absl::StatusOr<std::unique_ptr<PoolReplay>> Open(const v1::Pool& spec, const Leads& leads,
                                                          absl::Time start,
                                                          SharedForecast& forecast,
                                                          int instances_max = kReplayInstancesMax);

  // Demand of the step that begins at `time`, before the start.
  void Learn(absl::Time time, double demand);

  void Start();

  // The step that begins at `time` begins; `last_demand`: mean of the step before it, unset: no
  // sample. Returns how many instances served in the end of the step before.
  int Begin(absl::Time time, std::optional<double> last_demand);

  // Sizes, levels and what follows from them at once; what there is then: wanted, ready, created.
  // kInternal: the loop does not come to rest.
  absl::StatusOr<StepTally> Decide();

  // That differed from the one before, so far.
  int64_t decisions() const { return decisions_; }

 private:
  PoolReplay(const v1::Pool& spec, const Leads& leads, absl::Time start, SharedForecast& forecast,
             int instances_max);

  void Apply(const Ready& ready);
  // Results that are due by `until`, and ticks before it.
  void RunUntil(absl::Duration until);
  void FinishFirst();
  EffectResult Carry(const Effect& effect) const;
  const PoolEntry& pool() const { return loop_.world().pools.begin()->second; }

  const std::string name_;
  const absl::Duration step_;
  const Leads leads_;
  Instant now_;
  ControlLoop loop_;
  std::multimap<absl::Duration, Effect> under_way_;  // By when they are done, monotonic.
  int64_t decisions_ = 0;
  int created_ = 0;  // Since the last Decide.
  int inputs_ = 0;   // Since the last Begin.
};

// `pool` as a replay takes it: AUTOMATIC, an activation interval of `step`, the base external, no
// balancer, pushed usage. Limits that hang on the step follow it. kInvalidArgument: a FieldError
// below "pool.", as CompilePool.
absl::StatusOr<v1::Pool> ReplaySpec(v1::Pool pool, absl::Duration step);

}  // namespace shadow::simulation
