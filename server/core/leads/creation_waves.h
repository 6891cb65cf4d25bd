// A rise by more instances than may be created at one time takes several provisioning leads, one
// after the other, so it has to begin earlier.
#pragma once

#include <optional>
#include <span>

#include "absl/time/time.h"
#include "server/core/loop/world.h"

namespace shadow {

struct CreationPace {
  absl::Duration provisioning_lead;  // Above 0.
  absl::Duration activation_lead;
  absl::Duration step;    // Until the next decision.
  int creations_max = 1;  // At one time.
  // That the plan covers; at least both leads in whole steps.
  absl::Duration planned = absl::ZeroDuration();
};

// How many more than the highest of `needs` that the plan covers there must be now, so that each
// later one can still be met by creations that begin with the next decision or after it. `needs`:
// instances by step, the first of which holds now; it began at `first` from now (0 or before).
// e.g. needs 1, 1, 1, 7, 7 in steps of 5 min, a provisioning lead of 5 min and 2 creations at one
// time: the 7 are due in 15 min; the next decision is in 5 min, so 2 waves of 2 are in time: 2.
int EarlyRise(std::span<const int> needs, absl::Duration first, const CreationPace& pace);

// The same for the service-level quantile of the pool's forecast; 0: its policy's
// max_concurrent_creations is enough, or the forecast is not trusted (`trust`: its verdict).
int EarlyRiseOf(const PoolEntry& pool, absl::Time now, ForecastTrust trust,
                absl::Duration provisioning_lead, absl::Duration activation_lead);

inline constexpr int kWaveStepsMax = 288;  // That are looked ahead.

}  // namespace shadow
