#include "tests/outcome/planning.h"

#include <algorithm>
#include <cmath>

#include "server/core/simulation/replay.h"
#include "server/core/time_proto.h"

namespace shadow::outcome {
namespace {

constexpr int kInstancesMost = 1000;  // That a policy may have.
constexpr absl::Duration kActivationLead = absl::Milliseconds(1);

// The game knows no headroom and no stabilisation: a policy of the service level alone.
absl::StatusOr<v1::Pool> SpecFor(double service_level, const Game& game, absl::Duration step) {
  v1::Pool pool;
  pool.set_name("pools/game");
  pool.set_dna("dnas/game");
  pool.set_instance_capacity(game.instance_capacity);
  v1::Policy& policy = *pool.mutable_policy();
  policy.set_service_level(service_level);
  policy.set_headroom(1);
  policy.set_max_shadow_instances(kInstancesMost);
  policy.set_min_predicted_increase(0);
  *policy.mutable_stabilization_window() = ToProto(absl::ZeroDuration());
  return simulation::ReplaySpec(pool, step);
}

}  // namespace

int LeadSteps(absl::Duration lead, absl::Duration step) {
  return std::max(1, static_cast<int>(std::lround(absl::FDivDuration(lead, step))));
}

absl::StatusOr<std::vector<std::vector<int>>> PlanTrace(const Trace& trace, const Game& game,
                                                        size_t first_step) {
  const simulation::DemandSeries series{
      .begin = trace.begin, .step = trace.step, .values = trace.values};
  std::vector<v1::Pool> specs;
  for (const double level : game.service_levels) {
    auto spec = SpecFor(level, game, trace.step);
    if (!spec.ok()) return spec.status();
    specs.push_back(*std::move(spec));
  }
  const absl::Duration lead = LeadSteps(game.lead, trace.step) * trace.step;
  simulation::ReplayOptions options;
  options.first_scored = first_step;
  options.leads = {.provisioning = lead - kActivationLead, .activation = kActivationLead};
  const auto replayed = simulation::ReplayAll(specs, series, options);
  if (!replayed.ok()) return replayed.status();
  std::vector<std::vector<int>> targets;
  for (const simulation::Replayed& policy : *replayed) {
    std::vector<int>& steps = targets.emplace_back(first_step, 0);
    for (const simulation::StepTally& tally : policy.tallies) steps.push_back(tally.target);
  }
  return targets;
}

}  // namespace shadow::outcome
