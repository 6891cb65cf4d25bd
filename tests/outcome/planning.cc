#include "tests/outcome/planning.h"

#include <algorithm>
#include <cmath>

#include "forecast/forecaster.h"
#include "server/core/capacity/pool_capacity.h"

namespace shadow::outcome {

int LeadSteps(absl::Duration lead, absl::Duration step) {
  return std::max(1, static_cast<int>(std::lround(absl::FDivDuration(lead, step))));
}

std::vector<std::vector<int>> PlanTrace(const Trace& trace, const Game& game, size_t first_step) {
  const absl::Duration day = absl::Hours(24);
  const auto forecaster = MakeForecaster({.step = trace.step, .season_lengths = {day, 7 * day}});
  std::vector<PoolCapacity> pools;
  for (const double level : game.service_levels) {
    pools.emplace_back(PoolCapacity::Options{.step = trace.step,
                                             .day = day,
                                             .instance_capacity = game.instance_capacity,
                                             .target = {.service_level = level}},
                       trace.step * LeadSteps(game.lead, trace.step));
  }
  std::vector<std::vector<int>> wants(pools.size());
  for (size_t step = 0; step < trace.values.size(); ++step) {
    if (step == first_step) {
      for (PoolCapacity& pool : pools) pool.Start();
    }
    for (size_t i = 0; i < wants.size(); ++i) {
      const PoolCapacity::Plan& plan = pools[i].plan();
      wants[i].push_back(std::max(plan.why.want, plan.burst.value_or(0)));
    }
    const absl::Time time = trace.begin + trace.step * static_cast<int64_t>(step);
    const double value = trace.values[step];
    // A trace that the forecaster refuses is planned without that step.
    if (std::isnan(value) || !forecaster->Update(time, value).ok()) continue;
    for (PoolCapacity& pool : pools) pool.Observe(time, value, *forecaster);
  }
  return wants;
}

}  // namespace shadow::outcome
