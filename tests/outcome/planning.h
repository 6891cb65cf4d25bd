// Plays one trace of the outcome game: a replay of the control loop with several policies.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/simulation/replay.h"
#include "tests/outcome/trace.h"

namespace shadow::outcome {

struct Game {
  absl::Duration lead;
  double instance_capacity = 1;
  std::vector<double> service_levels;
  std::vector<double> shortage_costs = {};  // Of an instance missing; of one idle for as long: 1.
};

// Steps of `lead`, to the nearest, at least 1.
int LeadSteps(absl::Duration lead, absl::Duration step);

// Of a policy for each service level, then for each shortage cost. Steps before `first_step` are
// history.
absl::StatusOr<std::vector<simulation::Replayed>> PlayTrace(const Trace& trace, const Game& game,
                                                            size_t first_step);

// The targets by step, each decided from the samples before that step; 0 before `first_step`.
std::vector<int> PlanOf(const simulation::Replayed& played, size_t first_step);

}  // namespace shadow::outcome
