#include "server/core/spec/policy_rules.h"

#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace shadow::policy_rules {
namespace {

constexpr int kForecastMaxSteps = 2016;  // Forecaster::Forecast's own bound.
constexpr double kDemandMax = 1e15;
constexpr FieldChecker::RealLimits kServiceLevel = {.min = 1e-6, .max = 1 - 1e-6};
constexpr FieldChecker::Limits kShadowInstances = {.min = 0, .max = 1000};
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

// As the comments of pool.proto say. The look-ahead's hour is cut to what a forecast reaches.
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
  if (!policy.has_look_ahead()) {
    *policy.mutable_look_ahead() = Proto(std::min(absl::Hours(1), kForecastMaxSteps * step));
  }
  if (!policy.has_usage_max_age()) {
    *policy.mutable_usage_max_age() = Proto(std::max(3 * step, absl::Seconds(10)));
  }
  if (!policy.has_drain_timeout()) *policy.mutable_drain_timeout() = Proto(absl::Seconds(30));
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
}

void CompileDurations(const v1::Policy& policy, CompiledPool& compiled, FieldChecker& check) {
  const absl::Duration reach = kForecastMaxSteps * compiled.step;
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
  CompileDurations(policy, compiled, check);
  CompileCanary(policy.canary(), compiled, check);
}

}  // namespace shadow::policy_rules
