#include "tests/outcome/costs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "server/core/simulation/alternatives.h"
#include "server/core/simulation/score.h"

namespace shadow::outcome {
namespace {

constexpr int kSpareMost = 400;  // Of a fixed pool: ten peaks of 40.

double CostOf(std::span<const simulation::StepTally> tallies, absl::Duration step,
              double shortage_cost) {
  const simulation::Score score = simulation::ScoreOf(tallies, step);
  return score.idle_instance_hours + shortage_cost * score.unserved_instance_hours;
}

simulation::NeedSeries NeedsOf(const Trace& trace, const Game& game, size_t first_step) {
  simulation::NeedSeries series{.needs = {},
                                .work = {},
                                .step = trace.step,
                                .lead_steps = LeadSteps(game.lead, trace.step),
                                .first_scored = first_step,
                                .most = {}};
  for (const double demand : trace.values) {
    std::optional<int> need;
    if (!std::isnan(demand)) need = simulation::NeedBeside(demand, 0, game.instance_capacity);
    series.needs.push_back(need);
    series.work.push_back(need.value_or(0));
  }
  return series;
}

}  // namespace

std::vector<Costs> CostsOf(const Trace& trace, const Game& game, size_t first_step,
                           std::span<const simulation::Replayed> played) {
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
