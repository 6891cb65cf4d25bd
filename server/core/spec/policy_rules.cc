#include "server/core/spec/policy_rules.h"

#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "forecast/forecaster.h"
#include "server/core/time_proto.h"

namespace shadow::policy_rules {
namespace {

constexpr double kDemandMax = 1e15;
constexpr FieldChecker::RealLimits kServiceLevel = {.min = 1e-6, .max = 1 - 1e-6};
constexpr FieldChecker::Limits kShadowInstances = {.min = 0, .max = 1000};
constexpr FieldChecker::Limits kConcurrentCreations = {.min = 1, .max = 1000};
constexpr FieldChecker::Limits kPriority = {.min = -1000, .max = 1000};
constexpr double kCostMin = 1e-12;
constexpr int kOverridesMax = 64;
constexpr int kDaysMax = 7;
constexpr size_t kZoneMaxBytes = 64;
constexpr size_t kDescriptionMaxBytes = 256;
constexpr FieldChecker::Limits kWeightPercent = {.min = 1, .max = 100};
constexpr FieldChecker::Limits kCanaryRequests = {.min = 1, .max = 100'000};
constexpr FieldChecker::Limits kCanaryErrors = {.min = 0, .max = 100'000};

google::protobuf::Duration Proto(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  google::protobuf::Duration proto;
  proto.set_seconds(seconds);
  proto.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(duration - absl::Seconds(seconds))));
  return proto;
}

// As the comments of pool.proto say.
void FillDefaults(absl::Duration step, double instance_capacity, v1::Policy& policy) {
  if (policy.mode() == v1::Policy::MODE_UNSPECIFIED) policy.set_mode(v1::Policy::OBSERVE);
  if (policy.sizing() == v1::Policy::SIZING_UNSPECIFIED) {
    policy.set_sizing(v1::Policy::PREDICTIVE);
  }
  if (!policy.has_service_level()) policy.set_service_level(0.99);
  if (!policy.has_min_shadow_instances()) policy.set_min_shadow_instances(0);
  if (!policy.has_max_shadow_instances()) policy.set_max_shadow_instances(100);
  if (!policy.has_min_predicted_increase()) policy.set_min_predicted_increase(instance_capacity);
  if (!policy.has_headroom()) policy.set_headroom(1.1);
  if (!policy.has_activation_interval()) {
    *policy.mutable_activation_interval() = Proto(absl::Seconds(2));
  }
  if (!policy.has_stabilization_window()) {
    *policy.mutable_stabilization_window() = Proto(absl::Minutes(5));
  }
  if (!policy.has_look_ahead()) *policy.mutable_look_ahead() = Proto(absl::ZeroDuration());
  if (!policy.has_usage_max_age()) {
    *policy.mutable_usage_max_age() = Proto(std::max(3 * step, absl::Seconds(10)));
  }
  if (!policy.has_drain_timeout()) *policy.mutable_drain_timeout() = Proto(absl::Seconds(30));
  if (!policy.has_max_concurrent_creations()) policy.set_max_concurrent_creations(32);
  if (!policy.has_suspended_check_interval()) {
    *policy.mutable_suspended_check_interval() = Proto(absl::Hours(1));
  }
}

void FillCanaryDefaults(v1::Canary& canary) {
  if (!canary.has_weight_percent()) canary.set_weight_percent(10);
  if (!canary.has_requests()) canary.set_requests(20);
  if (!canary.has_timeout()) *canary.mutable_timeout() = Proto(absl::Seconds(5));
  if (!canary.has_errors_max()) canary.set_errors_max(0);
  if (!canary.has_latency_ratio_max()) canary.set_latency_ratio_max(3);
  if (!canary.has_latency_slack()) {
    *canary.mutable_latency_slack() = Proto(absl::Milliseconds(50));
  }
}

void CheckNumbers(const v1::Policy& policy, FieldChecker& check) {
  check.Real("pool.policy.service_level", policy.service_level(), kServiceLevel);
  check.Range("pool.policy.min_shadow_instances", policy.min_shadow_instances(), kShadowInstances);
  check.Range("pool.policy.max_shadow_instances", policy.max_shadow_instances(), kShadowInstances);
  if (policy.min_shadow_instances() > policy.max_shadow_instances()) {
    check.Fail("pool.policy.min_shadow_instances",
               absl::StrCat(policy.min_shadow_instances(), " is above max_shadow_instances, ",
                            policy.max_shadow_instances()));
  }
  check.Real("pool.policy.min_predicted_increase", policy.min_predicted_increase(),
             {.min = 0, .max = kDemandMax});
  check.Real("pool.policy.headroom", policy.headroom(), {.min = 1, .max = 100});
  check.Range("pool.policy.priority", policy.priority(), kPriority);
  check.Range("pool.policy.max_concurrent_creations", policy.max_concurrent_creations(),
              kConcurrentCreations);
}

// What the sizes are planned for: the service level, or the costs.
void CompileTarget(const v1::Policy& policy, CompiledPool& compiled, FieldChecker& check) {
  compiled.service_level = policy.service_level();
  compiled.capacity_target = {.service_level = policy.service_level()};
  if (!policy.has_idle_cost() && !policy.has_shortage_cost()) return;
  if (!policy.has_idle_cost() || !policy.has_shortage_cost()) {
    check.Fail(policy.has_idle_cost() ? "pool.policy.shortage_cost" : "pool.policy.idle_cost",
               absl::StrCat("is missing; it goes with ",
                            policy.has_idle_cost() ? "idle_cost" : "shortage_cost"));
    return;
  }
  check.Real("pool.policy.idle_cost", policy.idle_cost(), {.min = kCostMin, .max = kCostMax});
  check.Real("pool.policy.shortage_cost", policy.shortage_cost(), {.min = 0, .max = kCostMax});
  compiled.capacity_target = {
      .service_level = 0, .idle_cost = policy.idle_cost(), .shortage_cost = policy.shortage_cost()};
  // The newsvendor's critical ratio.
  compiled.service_level =
      std::clamp(policy.shortage_cost() / (policy.idle_cost() + policy.shortage_cost()),
                 kServiceLevel.min, kServiceLevel.max);
}

// Minutes of the day; -1: not "HH:MM".
int MinuteOfDay(std::string_view text) {
  const auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '9'; };
  if (text.size() != 5 || text[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4)) {
    return -1;
  }
  const int hour = (text[0] - '0') * 10 + (text[1] - '0');
  const int minute = (text[3] - '0') * 10 + (text[4] - '0');
  return hour < 24 && minute < 60 ? hour * 60 + minute : -1;
}

CompiledOverride::Weekly CompileWeekly(const std::string& field,
                                       const v1::BoundsOverride::Weekly& weekly,
                                       const absl::TimeZone& pool_zone, FieldChecker& check) {
  CompiledOverride::Weekly compiled;
  compiled.zone = pool_zone;
  check.Count(absl::StrCat(field, ".days"), weekly.days_size(), kDaysMax);
  for (const int day : weekly.days()) {
    if (day == v1::BoundsOverride::DAY_OF_WEEK_UNSPECIFIED) {
      check.Fail(absl::StrCat(field, ".days"), "has an unspecified day");
      return compiled;
    }
    compiled.days.set(static_cast<size_t>(day - v1::BoundsOverride::MONDAY));  // As absl::Weekday.
  }
  if (weekly.days().empty()) compiled.days.set();
  compiled.start_minute = MinuteOfDay(weekly.start_time_of_day());
  if (compiled.start_minute < 0) {
    check.Fail(absl::StrCat(field, ".start_time_of_day"),
               absl::StrCat(Quoted(weekly.start_time_of_day()), " is not \"HH:MM\""));
  }
  compiled.duration = check.Duration(absl::StrCat(field, ".duration"), weekly.duration(),
                                     {.min = absl::Minutes(1), .max = absl::Hours(24 * 7)});
  if (!weekly.time_zone().empty()) {
    check.Word(absl::StrCat(field, ".time_zone"), weekly.time_zone(), kZoneMaxBytes);
    if (check.ok() && !absl::LoadTimeZone(weekly.time_zone(), &compiled.zone)) {
      check.Fail(
          absl::StrCat(field, ".time_zone"),
          absl::StrCat(Quoted(weekly.time_zone()), " is not in this host's time zone database"));
    }
  }
  return compiled;
}

void CompileOverride(const std::string& field, const v1::BoundsOverride& override,
                     CompiledPool& compiled, FieldChecker& check) {
  CompiledOverride known;
  known.description = override.description();
  if (!known.description.empty()) {
    check.Text(absl::StrCat(field, ".description"), known.description, kDescriptionMaxBytes);
  }
  if (override.has_start_time()) known.start = FromProto(override.start_time());
  if (override.has_end_time()) known.end = FromProto(override.end_time());
  if (known.end <= known.start) {
    check.Fail(absl::StrCat(field, ".end_time"), "is not after start_time");
  }
  if (!override.has_min_shadow_instances() && !override.has_max_shadow_instances()) {
    check.Fail(field, "has neither min_shadow_instances nor max_shadow_instances");
  }
  check.Range(absl::StrCat(field, ".min_shadow_instances"), override.min_shadow_instances(),
              kShadowInstances);
  check.Range(absl::StrCat(field, ".max_shadow_instances"), override.max_shadow_instances(),
              kShadowInstances);
  if (override.has_min_shadow_instances()) known.min_instances = override.min_shadow_instances();
  if (override.has_max_shadow_instances()) known.max_instances = override.max_shadow_instances();
  if (known.min_instances.value_or(0) > known.max_instances.value_or(kShadowInstances.max)) {
    check.Fail(absl::StrCat(field, ".min_shadow_instances"), "is above its max_shadow_instances");
  }
  if (override.has_weekly()) {
    known.weekly =
        CompileWeekly(absl::StrCat(field, ".weekly"), override.weekly(), compiled.time_zone, check);
  }
  compiled.overrides.push_back(std::move(known));
}

void CompileOverrides(const v1::Policy& policy, CompiledPool& compiled, FieldChecker& check) {
  constexpr char kField[] = "pool.policy.overrides";
  check.Count(kField, policy.overrides_size(), kOverridesMax);
  for (int i = 0; check.ok() && i < policy.overrides_size(); ++i) {
    CompileOverride(absl::StrCat(kField, "[", i, "]"), policy.overrides(i), compiled, check);
  }
}

void CompileDurations(const v1::Policy& policy, CompiledPool& compiled, FieldChecker& check) {
  const absl::Duration reach = kForecastRowsMax * compiled.step;
  const absl::Duration lead_max = std::min(absl::Hours(24), reach);
  compiled.activation_interval =
      check.Duration("pool.policy.activation_interval", policy.activation_interval(),
                     {.min = absl::Milliseconds(100), .max = absl::Hours(1)});
  compiled.stabilization_window =
      check.Duration("pool.policy.stabilization_window", policy.stabilization_window(),
                     {.min = absl::ZeroDuration(), .max = absl::Hours(24)});
  compiled.look_ahead = check.Duration("pool.policy.look_ahead", policy.look_ahead(),
                                       {.min = absl::ZeroDuration(), .max = reach});
  compiled.usage_max_age = check.Duration("pool.policy.usage_max_age", policy.usage_max_age(),
                                          {.min = compiled.step, .max = absl::Hours(24 * 7)});
  if (policy.has_provisioning_lead()) {
    compiled.provisioning_lead =
        check.Duration("pool.policy.provisioning_lead", policy.provisioning_lead(),
                       {.min = absl::Milliseconds(1), .max = lead_max});
  }
  if (policy.has_activation_lead()) {
    compiled.activation_lead =
        check.Duration("pool.policy.activation_lead", policy.activation_lead(),
                       {.min = absl::Milliseconds(1), .max = lead_max});
  }
  compiled.drain_timeout = check.Duration("pool.policy.drain_timeout", policy.drain_timeout(),
                                          {.min = absl::Milliseconds(10), .max = absl::Hours(1)});
  const bool checks = policy.suspended_check_interval().seconds() != 0 ||
                      policy.suspended_check_interval().nanos() != 0;
  compiled.suspended_check_interval = check.Duration(
      "pool.policy.suspended_check_interval", policy.suspended_check_interval(),
      {.min = checks ? absl::Seconds(1) : absl::ZeroDuration(), .max = absl::Hours(24 * 30)});
}

void CompileCanary(const v1::Canary& canary, CompiledPool& compiled, FieldChecker& check) {
  check.Range("pool.policy.canary.weight_percent", canary.weight_percent(), kWeightPercent);
  check.Range("pool.policy.canary.requests", canary.requests(), kCanaryRequests);
  compiled.canary_timeout = check.Duration("pool.policy.canary.timeout", canary.timeout(),
                                           {.min = absl::Milliseconds(10), .max = absl::Hours(1)});
  check.Range("pool.policy.canary.errors_max", canary.errors_max(), kCanaryErrors);
  check.Real("pool.policy.canary.latency_ratio_max", canary.latency_ratio_max(),
             {.min = 1, .max = 1000});
  compiled.latency_slack =
      check.Duration("pool.policy.canary.latency_slack", canary.latency_slack(),
                     {.min = absl::ZeroDuration(), .max = absl::Minutes(10)});
}

}  // namespace

void CompilePolicy(CompiledPool& compiled, FieldChecker& check) {
  v1::Policy& policy = *compiled.pool.mutable_policy();
  FillDefaults(compiled.step, compiled.pool.instance_capacity(), policy);
  FillCanaryDefaults(*policy.mutable_canary());
  CheckNumbers(policy, check);
  CompileTarget(policy, compiled, check);
  CompileOverrides(policy, compiled, check);
  CompileDurations(policy, compiled, check);
  CompileCanary(policy.canary(), compiled, check);
}

}  // namespace shadow::policy_rules
