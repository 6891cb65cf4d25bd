#include "server/web/metrics.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>

#include "server/core/time_proto.h"

namespace shadow {
namespace {

v1::Condition MetricCondition(const std::string& type, v1::Condition::Status status,
                              const std::string& reason) {
  v1::Condition condition;
  condition.set_type(type);
  condition.set_status(status);
  condition.set_reason(reason);
  return condition;
}

// Two of the base serve, and one of three shadow instances.
PoolSnapshot MeasuredPool() {
  PoolSnapshot pool;
  pool.pool.set_name("pools/web");
  pool.pool.set_managed_instances(2);
  pool.pool.set_serving_base_instances(2);
  pool.pool.set_instance_capacity(50);
  pool.pool.mutable_policy()->set_service_level(0.95);
  *pool.pool.mutable_provisioning_lead() = ToProto(absl::Seconds(30));
  *pool.pool.mutable_activation_lead() = ToProto(absl::Milliseconds(1500));
  *pool.pool.add_conditions() = MetricCondition("Ready", v1::Condition::TRUE, "BaseServes");
  *pool.pool.add_conditions() = MetricCondition("Scaling", v1::Condition::FALSE, "OverBudget");
  *pool.pool.add_conditions() = MetricCondition("UsageFresh", v1::Condition::UNKNOWN, "NoSample");
  v1::ShadowPool& shadow = pool.shadows["pools/web/shadowPools/r1"];
  shadow.set_target_instances(3);
  shadow.set_target_activation_level(34);
  shadow.set_serving_instances(1);
  shadow.set_suspended_instances(1);
  shadow.set_failed_instances(1);
  const std::pair<const char*, v1::Instance::State> members[] = {
      {"i1", v1::Instance::ACTIVE}, {"i2", v1::Instance::ACTIVE}, {"i3", v1::Instance::SUSPENDED}};
  for (const auto& [id, state] : members) {
    v1::Instance& instance = pool.instances[std::string("pools/web/instances/") + id];
    instance.set_role(std::string(id) == "i1" ? v1::Instance::BASE : v1::Instance::SHADOW);
    instance.set_state(state);
  }
  const auto figures = std::make_shared<PoolFigures>();
  figures->demand = 120.5;
  figures->needed = 1;
  figures->wanted = 3;
  figures->steps_met = 7;
  figures->steps_missed = 2;
  figures->idle_seconds = 90;
  figures->decisions[v1::Decision::DEMAND_ROSE] = 4;
  pool.figures = figures;
  return pool;
}

std::string TextOf(Snapshot snapshot, const CallCounts& calls) {
  snapshot.revision = 42;
  return MetricsText({.snapshot = snapshot,
                      .calls = calls,
                      .ticks = {.last = absl::Seconds(1),
                                .longest = absl::Seconds(3),
                                .total = absl::Seconds(4),
                                .ticks = 2},
                      .queues = {.requests = 5, .results = 6, .commits = 7},
                      .store_stalled = true,
                      .watchers = 8,
                      .version = "1.2.3",
                      .start_time = absl::FromUnixSeconds(1'700'000'000)});
}

// Each line of the text is found whole.
void CheckLines(const std::string& text, std::initializer_list<const char*> lines) {
  for (const char* line : lines) {
    INFO(line);
    CHECK(("\n" + text).find(std::string("\n") + line + "\n") != std::string::npos);
  }
}

}  // namespace

TEST_CASE("metrics say of a pool what is known of it, and nothing else") {
  Snapshot snapshot;
  snapshot.pools.Set("pools/web", std::make_shared<PoolSnapshot>(MeasuredPool()));
  const std::string text = TextOf(snapshot, CallCounts());
  CheckLines(text, {R"(shadowd_pool_demand{pool="web"} 120.5)",
                    R"(shadowd_pool_capacity{pool="web"} 150)",
                    R"(shadowd_pool_needed_shadow_instances{pool="web"} 1)",
                    R"(shadowd_pool_wanted_shadow_instances{pool="web"} 3)",
                    R"(shadowd_pool_steps_total{pool="web",met="true"} 7)",
                    R"(shadowd_pool_steps_total{pool="web",met="false"} 2)",
                    R"(shadowd_pool_idle_instance_seconds_total{pool="web"} 90)",
                    R"(shadowd_pool_decisions_total{pool="web",reason="demand_rose"} 4)",
                    R"(shadowd_pool_instances{pool="web",role="base",state="active"} 1)",
                    R"(shadowd_pool_instances{pool="web",role="shadow",state="suspended"} 1)",
                    R"(shadowd_pool_instances{pool="web",role="shadow",state="failed"} 0)",
                    R"(shadowd_pool_serving_base_instances{pool="web"} 2)",
                    R"(shadowd_shadow_target_instances{pool="web",shadow="r1"} 3)",
                    R"(shadowd_shadow_serving_instances{pool="web",shadow="r1"} 1)",
                    R"(shadowd_shadow_suspended_instances{pool="web",shadow="r1"} 1)",
                    R"(shadowd_shadow_failed_instances{pool="web",shadow="r1"} 1)",
                    R"(shadowd_pool_provisioning_lead_seconds{pool="web"} 30)",
                    R"(shadowd_pool_activation_lead_seconds{pool="web"} 1.5)",
                    R"(shadowd_pool_condition{pool="web",type="Ready",reason="BaseServes"} 1)",
                    R"(shadowd_pool_condition{pool="web",type="Scaling",reason="OverBudget"} 0)",
                    "# TYPE shadowd_pool_steps_total counter",
                    "# TYPE shadowd_pool_demand gauge"});
  CHECK(text.find("shadowd_pool_forecast_demand{") == std::string::npos);  // There is none.
  CHECK(text.find("UsageFresh") == std::string::npos);
  CHECK(text.find("reason=\"no_change\"") == std::string::npos);
}

TEST_CASE("metrics name no service level where costs decide, and the default where none is set") {
  PoolSnapshot by_costs = MeasuredPool();
  by_costs.pool.mutable_policy()->clear_service_level();
  by_costs.pool.mutable_policy()->set_idle_cost(1);
  by_costs.pool.mutable_policy()->set_shortage_cost(5);
  PoolSnapshot by_default = MeasuredPool();
  by_default.pool.mutable_policy()->clear_service_level();
  Snapshot snapshot;
  snapshot.pools.Set("pools/costs", std::make_shared<PoolSnapshot>(by_costs));
  snapshot.pools.Set("pools/plain", std::make_shared<PoolSnapshot>(by_default));
  const std::string text = TextOf(snapshot, CallCounts());
  CheckLines(text, {R"(shadowd_pool_service_level{pool="plain"} 0.99)"});
  CHECK(text.find("shadowd_pool_service_level{pool=\"costs\"}") == std::string::npos);
}

TEST_CASE("metrics say of the daemon how it gets on") {
  Snapshot snapshot;
  snapshot.conditions.push_back(
      MetricCondition("ProviderReachable/process", v1::Condition::FALSE, "Unavailable"));
  CallCounts calls;
  calls.Add(EffectKind::kCreate, absl::Milliseconds(5), true);
  calls.Add(EffectKind::kCreate, absl::Seconds(11), false);
  const std::string text = TextOf(snapshot, calls);
  CheckLines(text, {R"(shadowd_build_info{version="1.2.3"} 1)",
                    "shadowd_start_time_seconds 1700000000",
                    "shadowd_pools 0",
                    "shadowd_last_event_revision 42",
                    "shadowd_store_stalled 1",
                    "shadowd_watchers 8",
                    "shadowd_tick_duration_seconds_count 2",
                    "shadowd_tick_duration_seconds_sum 4",
                    "shadowd_longest_tick_seconds 3",
                    R"(shadowd_queue_length{queue="requests"} 5)",
                    R"(shadowd_queue_length{queue="results"} 6)",
                    R"(shadowd_queue_length{queue="commits"} 7)",
                    R"(shadowd_condition{type="ProviderReachable/process",reason="Unavailable"} 0)",
                    R"(shadowd_call_duration_seconds_count{call="create"} 2)",
                    R"(shadowd_call_duration_seconds_sum{call="create"} 11.005)",
                    R"(shadowd_call_duration_seconds_bucket{call="create",le="0.001"} 0)",
                    R"(shadowd_call_duration_seconds_bucket{call="create",le="10"} 1)",
                    R"(shadowd_call_duration_seconds_bucket{call="create",le="+Inf"} 2)",
                    R"(shadowd_call_errors_total{call="create"} 1)",
                    R"(shadowd_call_errors_total{call="warm up"} 0)"});
}

}  // namespace shadow
