#include "tests/outcome/costs.h"

#include <algorithm>
#include <limits>

#include "server/core/simulation/alternatives.h"
#include "server/core/simulation/score.h"
#include "tests/outcome/score.h"

namespace shadow::outcome {
namespace {

constexpr int kSpareMost = 400;  // Of a fixed pool: ten peaks of 40.

double CostOf(std::span<const simulation::StepTally> tallies, absl::Duration step,
              double shortage_cost) {
  return simulation::CostOf(simulation::ScoreOf(tallies, step), 1, shortage_cost);
}

}  // namespace

std::vector<Costs> CostsOf(const Trace& trace, const Game& game, size_t first_step,
                           std::span<const simulation::Replayed> played) {
  if (game.shortage_costs.empty()) return {};
  constexpr double kNone = std::numeric_limits<double>::infinity();
  std::vector<Costs> all;
  const size_t levels = game.service_levels.size();
  for (size_t i = 0; i < game.shortage_costs.size(); ++i) {
    const double shortage_cost = game.shortage_costs[i];
    Costs& costs = all.emplace_back(Costs{.best_level = kNone, .best_fixed = kNone});
    costs.by_costs = CostOf(played[levels + i].tallies, trace.step, shortage_cost);
    for (size_t level = 0; level < levels; ++level) {
      costs.best_level =
          std::min(costs.best_level, CostOf(played[level].tallies, trace.step, shortage_cost));
    }
  }
  const simulation::NeedSeries needs = NeedsOf(trace, game, first_step);
  for (int spare = 0; spare <= kSpareMost; ++spare) {
    const auto tallies = simulation::FixedPool(needs, spare);
    for (size_t i = 0; i < all.size(); ++i) {
      const double cost = CostOf(tallies, trace.step, game.shortage_costs[i]);
      all[i].best_fixed = std::min(all[i].best_fixed, cost);
    }
  }
  return all;
}

}  // namespace shadow::outcome
