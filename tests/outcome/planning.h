// Plays one trace of the outcome game with the capacity planner.
#pragma once

#include <vector>

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

// Want by service level and step, each decided from the samples before that step. What is decided
// before `first_step` is history: its misses count against no budget.
std::vector<std::vector<int>> PlanTrace(const Trace& trace, const Game& game, size_t first_step);

}  // namespace shadow::outcome
