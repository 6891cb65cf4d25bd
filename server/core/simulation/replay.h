// Several policies on the same demand, side by side. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "server/core/simulation/demand_series.h"
#include "server/core/simulation/pool_replay.h"
#include "server/core/simulation/score.h"

namespace shadow::simulation {

struct ReplayOptions {
  Leads leads;
  int instances_max = kReplayInstancesMax;  // Of the host.
  size_t first_scored = 0;                  // Steps before it are history.
  std::function<bool()> cancelled = {};     // Asked once a step.
  // The one that all share. Default: MakeForecaster.
  std::function<std::unique_ptr<Forecaster>(const Forecaster::Options&)> make_forecaster = {};
};

struct Replayed {
  std::vector<StepTally> tallies;  // Of the scored steps.
  int64_t decisions = 0;           // In the scored steps, that differed from the one before.
};

// One for each of `specs` (ReplaySpec; they differ in policy only). kCancelled. kInternal: as
// PoolReplay.
absl::StatusOr<std::vector<Replayed>> ReplayAll(std::span<const v1::Pool> specs,
                                                const DemandSeries& series,
                                                const ReplayOptions& options);

// From wanted to ready in whole steps, rounded up, at least 1.
int LeadSteps(absl::Duration lead, absl::Duration step);

}  // namespace shadow::simulation
