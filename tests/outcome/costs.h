// What deciding by costs came to in the outcome game, and what else would have. Pure; for
// outcome-plan.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "server/core/simulation/replay.h"
#include "tests/outcome/planning.h"
#include "tests/outcome/trace.h"

namespace shadow::outcome {

// At one shortage cost, in instance-hours of idle: idle ones + shortage cost x missing ones.
struct Costs {
  double by_costs = 0;    // Of the policy that decides by them.
  double best_level = 0;  // Of the game's service level that hindsight would pick.
  double best_fixed = 0;  // Of the warm pool of fixed size that hindsight would pick.
};

// By shortage cost of `game`. `played`: what PlayTrace gave.
std::vector<Costs> CostsOf(const Trace& trace, const Game& game, size_t first_step,
                           std::span<const simulation::Replayed> played);

}  // namespace shadow::outcome
