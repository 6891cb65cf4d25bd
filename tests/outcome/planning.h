// Plays one trace of the outcome game: a replay of the control loop, one policy a service level.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/outcome/trace.h"

namespace shadow::outcome {

struct Game {
  absl::Duration lead;
  double instance_capacity = 1;
  std::vector<double> service_levels;
};

// Steps of `lead`, to the nearest, at least 1.
int LeadSteps(absl::Duration lead, absl::Duration step);

// The target by service level and step, each decided from the samples before that step; 0 before
// `first_step`, which is history.
absl::StatusOr<std::vector<std::vector<int>>> PlanTrace(const Trace& trace, const Game& game,
                                                        size_t first_step);

}  // namespace shadow::outcome
