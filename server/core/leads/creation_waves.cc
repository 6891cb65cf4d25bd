#include "server/core/leads/creation_waves.h"

#include <algorithm>
#include <vector>

#include "forecast/need/load.h"
#include "server/core/loop/demand.h"

namespace shadow {
namespace {

// Instances that are ready `ahead` from now if their creation begins at the next decision.
int64_t CreatedLater(absl::Duration ahead, const CreationPace& pace) {
  const absl::Duration left = ahead - pace.step - pace.activation_lead;
  if (left < absl::ZeroDuration()) return 0;
  return left / pace.provisioning_lead * pace.creations_max;
}

// The plan works on minutes where a day has more of them than steps (pool_capacity.h).
absl::Duration PlannedCell(const CompiledPool& pool) {
  const bool by_minute = pool.season_lengths.front() > PoolCapacity::kDayCellsMost * pool.step;
  return by_minute ? absl::Minutes(1) : pool.step;
}

// Steps from the one that holds now to the last that a rise to the most instances could begin for;
// 0: one wave does.
int StepsAhead(int instances_max, const CreationPace& pace) {
  const int64_t waves = (instances_max + pace.creations_max - 1) / pace.creations_max;
  if (waves <= 1) return 0;
  const absl::Duration span = pace.step + pace.activation_lead + waves * pace.provisioning_lead;
  return static_cast<int>(
      std::min<int64_t>(kWaveStepsMax, absl::Ceil(span, pace.step) / pace.step + 1));
}

}  // namespace

int EarlyRise(std::span<const int> needs, absl::Duration first, const CreationPace& pace) {
  const absl::Duration lead = pace.provisioning_lead + pace.activation_lead;
  const absl::Duration covered = absl::Ceil(std::max(lead, pace.planned), pace.step);
  int planned = 0;
  int64_t early = 0;
  for (size_t i = 0; i < needs.size(); ++i) {
    const absl::Duration ahead = static_cast<int64_t>(i) * pace.step;
    if (ahead <= covered) {
      planned = std::max(planned, needs[i]);
    } else {
      early = std::max(early, needs[i] - planned - CreatedLater(first + ahead, pace));
    }
  }
  return static_cast<int>(early);
}

int EarlyRiseOf(const PoolEntry& pool, absl::Time now, ForecastTrust trust,
                absl::Duration provisioning_lead, absl::Duration activation_lead) {
  const v1::Policy& policy = pool.spec->pool.policy();
  const CreationPace pace{.provisioning_lead = std::max(provisioning_lead, absl::Milliseconds(1)),
                          .activation_lead = activation_lead,
                          .step = pool.spec->step,
                          .creations_max = policy.max_concurrent_creations(),
                          .planned = PlannedCell(*pool.spec)};
  int most = policy.max_shadow_instances();
  for (const CompiledOverride& one : pool.spec->overrides) {
    most = std::max(most, one.max_instances.value_or(0));
  }
  const int steps = StepsAhead(most, pace);
  if (steps == 0 || trust != ForecastTrust::kTrusted) return 0;
  const auto forecast = ForecastRows(pool, now, steps, 1, {pool.spec->service_level});
  if (!forecast.ok()) return 0;
  std::vector<int> needs;
  needs.reserve(forecast->size());
  for (const std::vector<double>& row : *forecast) {
    needs.push_back(
        NeedOf((row[0] - pool.spec->base_capacity_per_spec) / pool.spec->pool.instance_capacity()));
  }
  return EarlyRise(needs, StepStart(now, pace.step) - now, pace);
}

}  // namespace shadow
