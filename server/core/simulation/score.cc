#include "server/core/simulation/score.h"

#include <algorithm>

#include "forecast/need/load.h"

namespace shadow::simulation {

Score ScoreOf(std::span<const StepTally> steps, absl::Duration step) {
  Score score;
  int64_t work = 0;
  int64_t unserved = 0;
  int64_t idle = 0;
  int64_t created = 0;
  for (const StepTally& tally : steps) {
    created += tally.created;
    if (!tally.need.has_value()) continue;
    ++score.steps;
    score.missed += *tally.need > tally.ready;
    work += tally.work;
    unserved += std::max(0, *tally.need - tally.ready);
    idle += std::max(0, tally.ready - *tally.need) + tally.wanted - tally.ready;
  }
  const auto share = [](int64_t part, int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
  };
  const double hours = absl::ToDoubleHours(step);
  if (score.steps > 0) score.hit_rate = share(score.steps - score.missed, score.steps);
  score.unserved_share = share(unserved, work);
  score.idle_share = share(idle, work);
  score.idle_instance_hours = static_cast<double>(idle) * hours;
  score.unserved_instance_hours = static_cast<double>(unserved) * hours;
  if (!steps.empty()) {
    score.created_per_day =
        static_cast<double>(created) * 24 / (static_cast<double>(steps.size()) * hours);
  }
  return score;
}

double CostOf(const Score& score, double idle_cost, double shortage_cost) {
  return idle_cost * score.idle_instance_hours + shortage_cost * score.unserved_instance_hours;
}

int NeedBeside(double demand, double base, double capacity) {
  return NeedOf((demand - base) / capacity);
}

}  // namespace shadow::simulation
