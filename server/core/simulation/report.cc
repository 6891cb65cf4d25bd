#include "server/core/simulation/report.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "forecast/need/load.h"
#include "server/core/simulation/alternatives.h"
#include "server/core/simulation/limits.h"
#include "server/core/spec.h"
#include "server/core/spec/bounds.h"
#include "server/core/time_proto.h"

namespace shadow::simulation {
namespace {

using O = v1::Outcome;

std::span<const double> ScoredDemand(const CompiledReplay& replay) {
  return std::span(replay.series.values).subspan(replay.first_scored);
}

// Those with a sample.
int64_t ScoredSteps(const CompiledReplay& replay) {
  const std::span<const double> demand = ScoredDemand(replay);
  return std::count_if(demand.begin(), demand.end(),
                       [](double value) { return !std::isnan(value); });
}

void AddMisses(std::span<const StepTally> tallies, absl::Time begin, absl::Duration step,
               O& outcome) {
  for (size_t i = 0; i < tallies.size() && outcome.misses_size() < kMissesMax; ++i) {
    if (!tallies[i].need.has_value() || *tallies[i].need <= tallies[i].ready) continue;
    O::Miss& miss = *outcome.add_misses();
    *miss.mutable_time() = ToProto(begin + static_cast<int64_t>(i) * step);
    miss.set_need(*tallies[i].need);
    miss.set_ready(tallies[i].ready);
  }
}

O OutcomeOf(const CompiledReplay& replay, std::span<const StepTally> tallies, O::Kind kind,
            std::string label) {
  const absl::Duration step = replay.series.step;
  const absl::Time begin = replay.series.TimeOf(replay.first_scored);
  const Score score = ScoreOf(tallies, step);
  O outcome;
  outcome.set_kind(kind);
  outcome.set_label(std::move(label));
  outcome.set_hit_rate(score.hit_rate);
  outcome.set_unserved_share(score.unserved_share);
  outcome.set_idle_share(score.idle_share);
  outcome.set_created_per_day(score.created_per_day);
  outcome.set_idle_instance_hours(score.idle_instance_hours);
  outcome.set_unserved_instance_hours(score.unserved_instance_hours);
  outcome.set_missed_steps(score.missed);
  if (replay.prices.has_value()) {
    outcome.set_cost(CostOf(score, replay.prices->idle_cost_per_instance_hour(),
                            replay.prices->shortage_cost_per_instance_hour()));
  }
  AddMisses(tallies, begin, step, outcome);
  AddPoints(tallies, ScoredDemand(replay), replay.variants.front().spec, begin, replay.plot_points,
            outcome);
  return outcome;
}

// Of the policy, from the step `first` on. `by` is the override that set the maximum.
std::vector<Bounds> BoundsOf(const CompiledReplay& replay, const Variant& variant, size_t first) {
  std::vector<Bounds> all;
  const auto pool = CompilePool(variant.spec);  // It was compiled before, so it does.
  for (size_t step = first; step < replay.series.values.size(); ++step) {
    Bounds bounds{.min_instances = 0, .max_instances = kNeedMax, .by = ""};
    if (pool.ok()) bounds = BoundsAt(*pool, replay.series.TimeOf(step), absl::ZeroDuration());
    if (bounds.max_instances == variant.spec.policy().max_shadow_instances()) bounds.by.clear();
    all.push_back(std::move(bounds));
  }
  return all;
}

int LeadStepsOf(const CompiledReplay& replay) {
  return LeadSteps(replay.leads.provisioning, replay.series.step);
}

O ReplayedOutcome(const CompiledReplay& replay, size_t index, const Replayed& replayed) {
  const Variant& variant = replay.variants[index];
  O outcome = OutcomeOf(replay, replayed.tallies, O::REPLAYED, variant.label);
  const v1::Policy& policy = variant.spec.policy();
  if (!policy.has_idle_cost()) outcome.set_service_level(policy.service_level());
  outcome.set_decisions(replayed.decisions);
  const ReplayLimits limits{.bounds = BoundsOf(replay, variant, replay.first_scored),
                            .host = replay.host,
                            .creations_max = policy.max_concurrent_creations(),
                            .lead_steps = LeadStepsOf(replay)};
  for (v1::BindingLimit& limit : BindingLimits(replayed.tallies, limits)) {
    *outcome.add_limits() = std::move(limit);
  }
  return outcome;
}

// The most instances that there may be under a policy, by step.
std::vector<int> MostOf(const CompiledReplay& replay, const Variant& variant) {
  std::vector<int> most;
  for (const Bounds& bounds : BoundsOf(replay, variant, 0)) {
    most.push_back(std::min(bounds.max_instances, replay.host.Most()));
  }
  return most;
}

// Creations that a policy may begin in a step: several in turn, where one takes less than a step.
int CreationsMax(const CompiledReplay& replay, const Variant& variant) {
  const absl::Duration lead = std::max(replay.leads.provisioning, absl::Milliseconds(1));
  const int64_t waves = std::max<int64_t>(1, replay.series.step / lead);
  const int64_t creations = variant.spec.policy().max_concurrent_creations() * waves;
  return static_cast<int>(std::min<int64_t>(creations, kNeedMax));
}

NeedSeries NeedsOf(const CompiledReplay& replay) {
  const v1::Pool& spec = replay.variants.front().spec;
  NeedSeries needs = NeedsOf(replay.series, spec.external_capacity(), spec.instance_capacity());
  needs.lead_steps = LeadStepsOf(replay);
  needs.first_scored = replay.first_scored;
  return needs;
}

// The pool of fixed size that is as good as each of `outcomes`, those of the first variants, and
// may have and create as many; then what everybody has, with the widest limits of these.
template <typename Outcomes>
void AddAlternatives(const CompiledReplay& replay, const std::vector<O>& outcomes,
                     Outcomes& alternatives) {
  NeedSeries needs = NeedsOf(replay);
  std::vector<int> most(needs.needs.size(), 0);
  int creations_max = 0;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const O& outcome = outcomes[i];
    needs.most = MostOf(replay, replay.variants[i]);
    needs.creations_max = CreationsMax(replay, replay.variants[i]);
    creations_max = std::max(creations_max, needs.creations_max);
    std::transform(most.begin(), most.end(), needs.most.begin(), most.begin(),
                   [](int a, int b) { return std::max(a, b); });
    const std::optional<int> spare = SpareFor(needs, outcome.hit_rate());
    if (!spare.has_value()) continue;
    O fixed = OutcomeOf(replay, FixedPool(needs, *spare), O::FIXED_POOL,
                        absl::StrCat("fixed pool of ", *spare));
    fixed.set_fixed_instances(*spare);
    fixed.set_as_good_as(outcome.label());
    *alternatives.Add() = std::move(fixed);
  }
  needs.most = std::move(most);
  needs.creations_max = creations_max;
  const v1::Policy& policy = replay.variants.front().spec.policy();
  *alternatives.Add() = OutcomeOf(
      replay, TargetTracking(needs, policy.headroom(), FromProto(policy.stabilization_window())),
      O::REACTIVE, "reactive");
  *alternatives.Add() = OutcomeOf(replay, ColdStarts(needs), O::NO_SHADOW, "no shadow");
}

// Limits alone cause more misses than its service level allows.
bool OutOfReach(const O& outcome, int64_t scored_steps) {
  if (outcome.service_level() <= 0) return false;
  int64_t missed = 0;
  for (const v1::BindingLimit& limit : outcome.limits()) missed += limit.missed_steps();
  return static_cast<double>(missed) >
         (1 - outcome.service_level()) * static_cast<double>(scored_steps);
}

// The cheapest of what was replayed for it and is within reach. One service level that was asked
// for is not among these; one policy that decides by costs is, for its own are the prices, or it is
// to be compared.
void Recommend(const CompiledReplay& replay, std::span<const Replayed> replayed,
               v1::SimulateResponse& response) {
  if (!replay.prices.has_value()) return;
  v1::Recommendation& best = *response.mutable_recommendation();
  const bool by_costs = replay.variants.front().spec.policy().has_idle_cost();
  const size_t first = replay.variants.size() > replay.shown && !by_costs ? replay.shown : 0;
  double highest = 0;
  for (size_t i = first; i < replay.variants.size(); ++i) {
    const O outcome = ReplayedOutcome(replay, i, replayed[i]);
    v1::Recommendation::Option& option = *best.add_options();
    option.set_label(outcome.label());
    option.set_service_level(outcome.service_level());
    option.set_hit_rate(outcome.hit_rate());
    option.set_cost(outcome.cost());
    option.set_out_of_reach(OutOfReach(outcome, response.scored_steps()));
    if (option.out_of_reach()) {
      if (outcome.service_level() > highest) *best.mutable_limits() = outcome.limits();
      highest = std::max(highest, outcome.service_level());
      continue;
    }
    if (!best.label().empty() && outcome.cost() >= best.cost()) continue;
    best.set_label(outcome.label());
    best.set_service_level(outcome.service_level());
    best.set_cost(outcome.cost());
  }
}

// `hours`: what was scored.
v1::ObserveScore::Outcome Summary(const O& outcome, double hours) {
  v1::ObserveScore::Outcome summary;
  summary.set_hit_rate(outcome.hit_rate());
  summary.set_unserved_share(outcome.unserved_share());
  summary.set_missed_steps(outcome.missed_steps());
  if (hours > 0) summary.set_idle_instances(outcome.idle_instance_hours() / hours);
  summary.set_created_per_day(outcome.created_per_day());
  if (outcome.has_cost()) summary.set_cost(outcome.cost());
  *summary.mutable_limits() = outcome.limits();
  return summary;
}

absl::Time EndOf(const CompiledReplay& replay) {
  return replay.series.TimeOf(replay.series.values.size());
}

}  // namespace

void AddPoints(std::span<const StepTally> tallies, std::span<const double> demand,
               const v1::Pool& spec, absl::Time begin, int points, O& outcome) {
  const absl::Duration step = FromProto(spec.step());
  const auto capacity = [&](int instances) {
    return spec.external_capacity() + instances * spec.instance_capacity();
  };
  const size_t count = std::min(static_cast<size_t>(points), tallies.size());
  for (size_t point = 0; point < count; ++point) {
    std::optional<size_t> tightest;
    const size_t end = (point + 1) * tallies.size() / count;
    for (size_t i = point * tallies.size() / count; i < end; ++i) {
      if (!tallies[i].need.has_value()) continue;
      const auto spare = [&](size_t at) { return capacity(tallies[at].ready) - demand[at]; };
      if (!tightest.has_value() || spare(i) < spare(*tightest)) tightest = i;
    }
    if (!tightest.has_value()) continue;
    O::Point& shown = *outcome.add_points();
    *shown.mutable_time() = ToProto(begin + static_cast<int64_t>(*tightest) * step);
    shown.set_demand(demand[*tightest]);
    shown.set_ready(capacity(tallies[*tightest].ready));
    shown.set_active(capacity(tallies[*tightest].active));
  }
}

v1::SimulateResponse ReportSimulation(const CompiledReplay& replay,
                                      std::span<const Replayed> replayed) {
  v1::SimulateResponse response;
  *response.mutable_step() = ToProto(replay.series.step);
  *response.mutable_start_time() = ToProto(replay.series.TimeOf(replay.first_scored));
  *response.mutable_end_time() = ToProto(EndOf(replay));
  response.set_scored_steps(ScoredSteps(replay));
  *response.mutable_warm_up() =
      ToProto(static_cast<int64_t>(replay.first_scored) * replay.series.step);
  *response.mutable_provisioning_lead() = ToProto(replay.leads.provisioning);
  *response.mutable_activation_lead() = ToProto(replay.leads.activation);
  std::vector<O> shown;
  for (size_t i = 0; i < replay.shown; ++i) {
    shown.push_back(ReplayedOutcome(replay, i, replayed[i]));
  }
  AddAlternatives(replay, shown, *response.mutable_alternatives());
  for (O& outcome : shown) *response.add_variants() = std::move(outcome);
  Recommend(replay, replayed, response);
  return response;
}

v1::EvaluatePoolResponse ReportEvaluation(const CompiledReplay& replay,
                                          std::span<const Replayed> replayed,
                                          v1::Policy::Mode mode) {
  v1::EvaluatePoolResponse response;
  *response.mutable_start_time() = ToProto(replay.series.TimeOf(replay.first_scored));
  *response.mutable_end_time() = ToProto(EndOf(replay));
  response.set_mode(mode);
  *response.mutable_step() = ToProto(replay.series.step);
  response.set_scored_steps(ScoredSteps(replay));
  *response.mutable_automatic() = ReplayedOutcome(replay, 0, replayed[0]);
  if (mode != v1::Policy::AUTOMATIC) {
    *response.mutable_present() =
        OutcomeOf(replay, BaseOnly(NeedsOf(replay)), O::BASE_ONLY, "base alone");
  } else {
    const size_t present = replay.shown - 1;  // The same, if its policy looks ahead already.
    *response.mutable_present() = ReplayedOutcome(replay, present, replayed[present]);
    response.mutable_present()->set_label("as it is now");
  }
  AddAlternatives(replay, {response.automatic()}, *response.mutable_alternatives());
  return response;
}

v1::ObserveScore ScoreFrom(const v1::EvaluatePoolResponse& evaluation) {
  v1::ObserveScore score;
  *score.mutable_start_time() = evaluation.start_time();
  *score.mutable_end_time() = evaluation.end_time();
  score.set_scored_steps(evaluation.scored_steps());
  const double hours = absl::ToDoubleHours(FromProto(evaluation.step())) *
                       static_cast<double>(evaluation.scored_steps());
  *score.mutable_automatic() = Summary(evaluation.automatic(), hours);
  *score.mutable_base_alone() = Summary(evaluation.present(), hours);
  return score;
}

}  // namespace shadow::simulation
