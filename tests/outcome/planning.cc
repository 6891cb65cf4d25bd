#include "tests/outcome/planning.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/core/time_proto.h"

namespace shadow::outcome {
namespace {

constexpr int kInstancesMost = 1000;  // That a policy may have.
constexpr absl::Duration kActivationLead = absl::Milliseconds(1);

// The game knows no headroom, no stabilisation and no limit.
v1::Pool PoolOf(const Game& game) {
  v1::Pool pool;
  pool.set_name("pools/game");
  pool.set_dna("dnas/game");
  pool.set_instance_capacity(game.instance_capacity);
  v1::Policy& policy = *pool.mutable_policy();
  policy.set_headroom(1);
  policy.set_max_shadow_instances(kInstancesMost);
  policy.set_max_concurrent_creations(kInstancesMost);
  policy.set_min_predicted_increase(0);
  *policy.mutable_stabilization_window() = ToProto(absl::ZeroDuration());
  return pool;
}

}  // namespace

int LeadSteps(absl::Duration lead, absl::Duration step) {
  return std::max(1, static_cast<int>(std::lround(absl::FDivDuration(lead, step))));
}

absl::StatusOr<std::vector<simulation::Replayed>> PlayTrace(const Trace& trace, const Game& game,
                                                            size_t first_step) {
  std::vector<v1::Pool> pools;
  for (const double level : game.service_levels) {
    pools.push_back(PoolOf(game));
    pools.back().mutable_policy()->set_service_level(level);
  }
  for (const double cost : game.shortage_costs) {
    pools.push_back(PoolOf(game));
    pools.back().mutable_policy()->set_idle_cost(1);
    pools.back().mutable_policy()->set_shortage_cost(cost);
  }
  std::vector<v1::Pool> specs;
  for (v1::Pool& pool : pools) {
    auto spec = simulation::ReplaySpec(std::move(pool), trace.step);
    if (!spec.ok()) return spec.status();
    specs.push_back(*std::move(spec));
  }
  const absl::Duration lead = LeadSteps(game.lead, trace.step) * trace.step;
  simulation::ReplayOptions options;
  options.first_scored = first_step;
  options.leads = {.provisioning = lead - kActivationLead, .activation = kActivationLead};
  return simulation::ReplayAll(
      specs, {.begin = trace.begin, .step = trace.step, .values = trace.values}, options);
}

std::vector<int> PlanOf(const simulation::Replayed& played, size_t first_step) {
  std::vector<int> targets(first_step, 0);
  for (const simulation::StepTally& tally : played.tallies) targets.push_back(tally.target);
  return targets;
}

}  // namespace shadow::outcome
