#include "server/core/simulation/compiled_replay.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/core/error.h"
#include "server/core/leads/pool_leads.h"
#include "server/core/spec.h"
#include "server/core/time_proto.h"

namespace shadow::simulation {
namespace {

constexpr double kSweep[] = {0.9, 0.95, 0.98, 0.99, 0.995, 0.999};
constexpr int kWarmUpSeasons = 5;
constexpr absl::Duration kEvaluatedDefault = absl::Hours(24 * 7);
constexpr absl::Duration kStepMax = absl::Hours(1);
constexpr absl::Duration kLeadMax = absl::Hours(24);

std::string LevelLabel(const v1::Policy& policy) {
  return policy.has_idle_cost() ? "by costs"
                                : absl::StrCat("service level ", policy.service_level());
}

absl::Duration ShortestSeason(const v1::Pool& spec) { return FromProto(spec.season_lengths(0)); }

absl::StatusOr<absl::Duration> LeadOf(const google::protobuf::Duration* asked,
                                      const google::protobuf::Duration* learned,
                                      absl::Duration otherwise, const char* field) {
  if (asked == nullptr) return learned == nullptr ? otherwise : FromProto(*learned);
  const absl::Duration lead = FromProto(*asked);
  if (lead > absl::ZeroDuration() && lead <= kLeadMax) return lead;
  return FieldError(field, absl::StrCat(absl::FormatDuration(lead), " is not in (0, ",
                                        absl::FormatDuration(kLeadMax), "]"));
}

absl::Status CheckPrices(const v1::Prices& prices) {
  const struct {
    const char* field;
    double price;
  } rows[] = {{"prices.idle_cost_per_instance_hour", prices.idle_cost_per_instance_hour()},
              {"prices.shortage_cost_per_instance_hour", prices.shortage_cost_per_instance_hour()}};
  for (const auto& row : rows) {
    if (!(row.price >= 0 && row.price <= kCostMax)) {
      return FieldError(row.field,
                        absl::StrCat(row.price, " is not a number from 0 to ", kCostMax));
    }
  }
  return absl::OkStatus();
}

// Prices and plot points, which both requests have. What a pool decides by is what it is priced by.
template <typename Request>
absl::Status TakeOutput(const Request& request, const v1::Policy& policy, CompiledReplay& replay) {
  if (request.has_prices()) {
    const absl::Status checked = CheckPrices(request.prices());
    if (!checked.ok()) return checked;
    replay.prices = request.prices();
  } else if (policy.has_idle_cost()) {
    replay.prices.emplace();
    replay.prices->set_idle_cost_per_instance_hour(policy.idle_cost());
    replay.prices->set_shortage_cost_per_instance_hour(policy.shortage_cost());
  }
  if (!request.has_plot_points()) return absl::OkStatus();
  replay.plot_points = request.plot_points();
  if (replay.plot_points >= 0 && replay.plot_points <= kPlotPointsMax) return absl::OkStatus();
  return FieldError("plot_points",
                    absl::StrCat(replay.plot_points, " is not 0 to ", kPlotPointsMax));
}

// A policy's own error, under the name that it has in the request.
absl::Status Renamed(const absl::Status& status, const std::string& variant) {
  const std::string field = ErrorField(status);
  if (field.empty() || variant.empty()) return status;
  std::string problem(status.message());
  problem = problem.substr(std::min(problem.size(), field.size() + 2));
  return FieldError(absl::StrCat(variant, ".", absl::StripPrefix(field, "pool.")), problem);
}

absl::StatusOr<Variant> VariantOf(const v1::SimulateRequest::Variant& asked, v1::Pool pool,
                                  absl::Duration step, const std::string& field) {
  if (asked.has_policy()) *pool.mutable_policy() = asked.policy();
  if (asked.has_service_level()) {
    if (!(asked.service_level() > 0 && asked.service_level() < 1)) {
      return FieldError(absl::StrCat(field, ".service_level"),
                        absl::StrCat(asked.service_level(), " is not in (0, 1)"));
    }
    pool.mutable_policy()->set_service_level(asked.service_level());
    pool.mutable_policy()->clear_idle_cost();  // Instead of what they make worth covering.
    pool.mutable_policy()->clear_shortage_cost();
  }
  auto spec = ReplaySpec(std::move(pool), step);
  if (!spec.ok()) return Renamed(spec.status(), asked.has_policy() ? field : "");
  Variant variant{.label = asked.label(), .spec = *std::move(spec)};
  if (variant.label.empty()) variant.label = LevelLabel(variant.spec.policy());
  return variant;
}

// Those asked for, and, to recommend one where only one is asked for, its policy at other levels.
absl::Status AddVariants(const v1::SimulateRequest& request, const v1::Pool& pool,
                         CompiledReplay& replay) {
  std::vector<v1::SimulateRequest::Variant> asked(request.variants().begin(),
                                                  request.variants().end());
  if (asked.size() > kVariantsMax) {
    return FieldError("variants",
                      absl::StrCat(asked.size(), " are too many; at most ", kVariantsMax));
  }
  if (asked.empty()) asked.emplace_back();
  replay.shown = asked.size();
  if (replay.prices.has_value() && asked.size() == 1) {
    for (const double level : kSweep) {
      v1::SimulateRequest::Variant other = asked.front();
      other.clear_label();
      other.set_service_level(level);
      asked.push_back(std::move(other));
    }
  }
  for (size_t i = 0; i < asked.size(); ++i) {
    const size_t index = i < replay.shown ? i : 0;
    auto variant =
        VariantOf(asked[i], pool, replay.series.step, absl::StrCat("variants[", index, "]"));
    if (!variant.ok()) return variant.status();
    replay.variants.push_back(*std::move(variant));
  }
  return absl::OkStatus();
}

absl::Duration SpanOf(const DemandSeries& series) {
  return static_cast<int64_t>(series.values.size()) * series.step;
}

absl::Status TooLittle(const v1::Pool& pool, absl::Duration span, std::string_view wanted) {
  return ReasonError(absl::StatusCode::kFailedPrecondition, "NO_HISTORY",
                     absl::StrCat(pool.name(), " has ", absl::FormatDuration(span), " of demand; ",
                                  std::string(wanted)));
}

absl::Status TakeLeads(const v1::SimulateRequest& request, const v1::Pool& pool,
                       CompiledReplay& replay) {
  const auto provisioning =
      LeadOf(request.has_provisioning_lead() ? &request.provisioning_lead() : nullptr,
             pool.has_provisioning_lead() ? &pool.provisioning_lead() : nullptr,
             kDefaultProvisioningLead, "provisioning_lead");
  if (!provisioning.ok()) return provisioning.status();
  const auto activation =
      LeadOf(request.has_activation_lead() ? &request.activation_lead() : nullptr,
             pool.has_activation_lead() ? &pool.activation_lead() : nullptr, kDefaultActivationLead,
             "activation_lead");
  if (!activation.ok()) return activation.status();
  replay.leads = {.provisioning = *provisioning, .activation = *activation};
  return absl::OkStatus();
}

// What is known of the host that the pool is on.
HostLimits HostLimitsOf(const v1::Pool& pool) {
  HostLimits host;
  if (pool.has_balancer_slots()) {
    host.balancer_slots = std::max(0, pool.balancer_slots() - pool.managed_instances());
  }
  if (pool.has_shadow_instances_left()) {
    host.instances_left = std::max(0, pool.shadow_instances_left());
  }
  return host;
}

absl::Status TakeWarmUp(const v1::SimulateRequest& request, const v1::Pool& pool,
                        CompiledReplay& replay) {
  const auto steps = static_cast<int64_t>(replay.series.values.size());
  const absl::Duration season = ShortestSeason(replay.variants.front().spec);
  int64_t warm_up = std::min<int64_t>(kWarmUpSeasons * season / replay.series.step, steps / 4);
  if (request.has_warm_up()) {
    if (FromProto(request.warm_up()) < absl::ZeroDuration()) {
      return FieldError("warm_up", "is negative");
    }
    warm_up = absl::Ceil(FromProto(request.warm_up()), replay.series.step) / replay.series.step;
  }
  if (warm_up >= steps) {
    return TooLittle(pool, SpanOf(replay.series),
                     absl::StrCat("a replay needs its warm-up, ",
                                  absl::FormatDuration(warm_up * replay.series.step),
                                  ", and a step of ", absl::FormatDuration(replay.series.step)));
  }
  replay.first_scored = static_cast<size_t>(warm_up);
  return absl::OkStatus();
}

// Fills `replay` in from the request. With prices, more variants are replayed than are shown.
absl::Status TakeReplay(const v1::SimulateRequest& request, const v1::Pool& pool,
                        CompiledReplay& replay) {
  absl::Status status = AddVariants(request, pool, replay);
  replay.host = HostLimitsOf(pool);
  if (status.ok()) status = TakeLeads(request, pool, replay);
  if (status.ok()) status = TakeWarmUp(request, pool, replay);
  return status;
}

}  // namespace

absl::Duration GridOf(const v1::Pool& pool) {
  const absl::Duration step = FromProto(pool.step());
  if (pool.season_lengths().empty() || step <= absl::ZeroDuration()) return step;
  const absl::Duration least = kSeasonsMax * ShortestSeason(pool) / kStepsMax;
  for (absl::Duration grid = step; grid <= kStepMax; grid += step) {
    const bool divides = std::all_of(pool.season_lengths().begin(), pool.season_lengths().end(),
                                     [&](const google::protobuf::Duration& season) {
                                       return FromProto(season) % grid == absl::ZeroDuration();
                                     });
    if (grid >= least && divides) return grid;
  }
  return step;
}

absl::StatusOr<absl::Duration> StepOf(const v1::SimulateRequest& request, const v1::Pool& pool) {
  const std::vector<v1::Sample> samples(request.samples().begin(), request.samples().end());
  absl::Duration step = std::min(std::max(GridOf(pool), MedianDistance(samples)), kStepMax);
  if (request.has_step()) step = FromProto(request.step());
  if (step >= absl::Seconds(1) && step <= kStepMax && step == absl::Trunc(step, absl::Seconds(1))) {
    return step;
  }
  return FieldError("step", absl::StrCat(absl::FormatDuration(step),
                                         " is not a whole number of seconds from 1s to 1h"));
}

absl::StatusOr<CompiledReplay> CompileSimulation(const v1::SimulateRequest& request,
                                                 const v1::Pool& pool, DemandSeries series) {
  CompiledReplay replay;
  replay.series = std::move(series);
  const bool own_costs =
      !request.variants().empty() && request.variants(0).policy().has_idle_cost();
  absl::Status status =
      TakeOutput(request, own_costs ? request.variants(0).policy() : pool.policy(), replay);
  if (status.ok()) status = TakeReplay(request, pool, replay);
  if (!status.ok()) return status;
  return replay;
}

absl::Status CheckEvaluable(const v1::Pool& pool, absl::Duration span) {
  const absl::Duration needed = 2 * ShortestSeason(pool);
  if (span >= needed) return absl::OkStatus();
  return TooLittle(
      pool, span,
      absl::StrCat("an evaluation needs two of its shortest seasons, ",
                   absl::FormatDuration(needed), ": one to learn from and one to score"));
}

absl::StatusOr<CompiledReplay> CompileEvaluation(const v1::EvaluatePoolRequest& request,
                                                 const v1::Pool& pool, DemandSeries series) {
  const absl::Duration last = request.has_last() ? FromProto(request.last()) : kEvaluatedDefault;
  if (last <= absl::ZeroDuration()) return FieldError("last", "is not above 0");
  const absl::Duration season = ShortestSeason(pool);
  const auto steps = static_cast<int64_t>(series.values.size());
  const absl::Status evaluable = CheckEvaluable(pool, SpanOf(series));
  if (!evaluable.ok()) return evaluable;
  v1::SimulateRequest simulate;
  const int64_t scored =
      std::min(absl::Ceil(last, series.step) / series.step, steps - season / series.step);
  *simulate.mutable_warm_up() = ToProto((steps - scored) * series.step);
  v1::SimulateRequest::Variant& automatic = *simulate.add_variants();
  automatic.set_label("AUTOMATIC");
  *automatic.mutable_policy() = pool.policy();
  automatic.mutable_policy()->set_sizing(v1::Policy::PREDICTIVE);
  // What is carried out now is another policy only where it does not look ahead.
  if (pool.policy().mode() == v1::Policy::AUTOMATIC &&
      pool.policy().sizing() == v1::Policy::REACTIVE) {
    simulate.add_variants()->set_label("as it is now");
  }
  CompiledReplay replay;
  replay.series = std::move(series);
  absl::Status status = TakeReplay(simulate, pool, replay);
  // Prices last: nothing is weighed here that is not shown.
  if (status.ok()) status = TakeOutput(request, pool.policy(), replay);
  if (!status.ok()) return status;
  return replay;
}

}  // namespace shadow::simulation
