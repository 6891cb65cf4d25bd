#include <google/protobuf/text_format.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "server/core/error.h"
#include "server/core/spec.h"

namespace shadow {
namespace {

v1::Pool MinimalPool() {
  v1::Pool pool;
  pool.set_name("pools/web");
  pool.set_dna("dnas/web");
  pool.set_instance_capacity(50);
  return pool;
}

v1::Pool ChangedPool(const std::string& change) {
  v1::Pool pool = MinimalPool();
  REQUIRE(google::protobuf::TextFormat::MergeFromString(change, &pool));
  return pool;
}

void CheckRejected(const v1::Pool& pool, const std::string& field,
                   const std::string& message_part) {
  const auto compiled = CompilePool(pool);
  REQUIRE_FALSE(compiled.ok());
  CHECK(compiled.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(ErrorField(compiled.status()) == field);
  CHECK_THAT(std::string(compiled.status().message()), Catch::Contains(message_part));
}

TEST_CASE("a minimal pool compiles with the defaults of its comments") {
  const auto compiled = CompilePool(MinimalPool());
  REQUIRE(compiled.ok());
  v1::Pool want;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        name: "pools/web"
        dna: "dnas/web"
        provider { process {} }
        balancer { none {} }
        step { seconds: 60 }
        season_lengths { seconds: 86400 }
        season_lengths { seconds: 604800 }
        managed_instances: 0
        instance_capacity: 50
        time_zone: "UTC"
        policy {
          mode: OBSERVE
          sizing: PREDICTIVE
          service_level: 0.99
          min_shadow_instances: 0
          max_shadow_instances: 100
          min_predicted_increase: 50
          headroom: 1.1
          activation_interval { seconds: 2 }
          stabilization_window { seconds: 300 }
          look_ahead {}
          usage_max_age { seconds: 180 }
          canary {
            weight_percent: 10
            requests: 20
            timeout { seconds: 5 }
            errors_max: 0
            latency_ratio_max: 3
            latency_slack { nanos: 50000000 }
          }
          drain_timeout { seconds: 30 }
          max_concurrent_creations: 32
          suspended_check_interval { seconds: 3600 }
        }
      )pb",
      &want));
  CHECK(compiled->pool.DebugString() == want.DebugString());
  CHECK(compiled->step == absl::Minutes(1));
  CHECK(compiled->season_lengths == std::vector<absl::Duration>{absl::Hours(24), absl::Hours(168)});
  CHECK(compiled->base_capacity_per_spec == 0);
  CHECK(compiled->activation_interval == absl::Seconds(2));
  CHECK(compiled->stabilization_window == absl::Minutes(5));
  CHECK(compiled->look_ahead == absl::ZeroDuration());
  CHECK(compiled->usage_max_age == absl::Minutes(3));
  CHECK_FALSE(compiled->provisioning_lead.has_value());
  CHECK_FALSE(compiled->activation_lead.has_value());
  CHECK(compiled->canary_timeout == absl::Seconds(5));
  CHECK(compiled->latency_slack == absl::Milliseconds(50));
  CHECK(compiled->drain_timeout == absl::Seconds(30));
  CHECK(compiled->suspended_check_interval == absl::Hours(1));
}

constexpr char kFull[] = R"pb(
  dna: "dnas/web@0123456789ab"
  provider { process {} }
  balancer { haproxy { socket_path: "/run/h.sock" backend: "be_web" slot_prefix: "s" } }
  usage_sources { pushed {} }
  usage_sources { haproxy { socket_path: "/run/h.sock" frontend: "fe" metric: SESSIONS } }
  demand_unit: "requests/s"
  step { seconds: 1 }
  season_lengths { seconds: 2 }
  season_lengths { seconds: 55 }
  season_lengths { seconds: 385 }
  managed_instances: 3
  time_zone: "America/St_Johns"
  demand_events {
    description: "Sale"
    start_time { seconds: 100 }
    end_time { seconds: 200 }
    multiplier: 3
  }
  policy {
    mode: AUTOMATIC
    sizing: REACTIVE
    service_level: 0.999
    min_shadow_instances: 1
    max_shadow_instances: 1
    min_predicted_increase: 0
    headroom: 1
    activation_interval { nanos: 100000000 }
    stabilization_window {}
    look_ahead { seconds: 2016 }
    usage_max_age { seconds: 1 }
    provisioning_lead { seconds: 2016 }
    activation_lead { nanos: 1000000 }
    canary {
      weight_percent: 100
      requests: 1
      timeout { seconds: 1 }
      errors_max: 1
      latency_ratio_max: 1
      latency_slack {}
    }
    drain_timeout { seconds: 3600 }
    max_concurrent_creations: 1
    suspended_check_interval { seconds: 2592000 }
  }
)pb";

TEST_CASE("a pool with every field set compiles, and what was set stays") {
  const v1::Pool pool = ChangedPool(kFull);
  const auto compiled = CompilePool(pool);
  REQUIRE(compiled.status() == absl::OkStatus());
  CHECK(compiled->pool.DebugString() == pool.DebugString());
  CHECK(compiled->base_capacity_per_spec == 150);  // 3 instances x 50
  CHECK(compiled->provisioning_lead == absl::Seconds(2016));
  CHECK(compiled->activation_lead == absl::Milliseconds(1));
  CHECK(compiled->stabilization_window == absl::ZeroDuration());
  CHECK(compiled->suspended_check_interval == absl::Hours(720));
}

TEST_CASE("a check interval of 0 is kept: never") {
  const auto compiled = CompilePool(ChangedPool("policy { suspended_check_interval {} }"));
  REQUIRE(compiled.status() == absl::OkStatus());
  CHECK(compiled->pool.policy().has_suspended_check_interval());
  CHECK(compiled->suspended_check_interval == absl::ZeroDuration());
}

TEST_CASE("compiling a compiled pool changes nothing") {
  for (const v1::Pool& pool :
       {MinimalPool(), ChangedPool(kFull), ChangedPool("external_capacity: 12.5")}) {
    const auto once = CompilePool(pool);
    REQUIRE(once.ok());
    const auto twice = CompilePool(once->pool);
    REQUIRE(twice.ok());
    CHECK(twice->pool.SerializeAsString() == once->pool.SerializeAsString());
    CHECK(twice->base_capacity_per_spec == once->base_capacity_per_spec);
  }
}

TEST_CASE("defaults that depend on other fields follow them") {
  const auto compiled = CompilePool(
      ChangedPool("step { seconds: 1 } season_lengths { seconds: 50 } external_capacity: 12.5 "
                  "usage_sources { haproxy { socket_path: '/s' frontend: 'f' } } "
                  "balancer { haproxy { socket_path: '/s' backend: 'b' } }"));
  REQUIRE(compiled.status() == absl::OkStatus());
  CHECK(compiled->usage_max_age == absl::Seconds(10));
  CHECK(compiled->base_capacity_per_spec == 12.5);
  CHECK(compiled->pool.balancer().haproxy().slot_prefix() == "slot");
  CHECK(compiled->pool.usage_sources(0).haproxy().metric() == v1::HaproxyUsage::REQUESTS);
}

TEST_CASE("output-only fields of a pool are ignored on entry") {
  v1::Pool pool = ChangedPool(
      "state: DELETING dna_revision: 'x' serving_base_instances: 4 hold_until_time { seconds: 1 } "
      "create_time { seconds: 1 } update_time { seconds: 1 } etag: 'x' reconciling: true "
      "provisioning_lead { seconds: 1 } activation_lead { seconds: 1 }");
  const auto compiled = CompilePool(pool);
  REQUIRE(compiled.ok());
  CHECK(compiled->pool.DebugString() == CompilePool(MinimalPool())->pool.DebugString());
}

struct RejectedPool {
  std::string change;  // Text protobuf, merged into MinimalPool().
  std::string field;
  std::string message_part;
};

void CheckPools(const std::vector<RejectedPool>& table) {
  for (const RejectedPool& row : table) {
    INFO(row.change);
    CheckRejected(ChangedPool(row.change), row.field, row.message_part);
  }
}

TEST_CASE("a wrong field of a pool is refused by its name") {
  CheckPools({
      {"name: 'web'", "pool.name", "pools/{pool}"},
      {"name: 'pools/Web'", "pool.name", "\"pools/Web\""},
      {"dna: 'web'", "pool.dna", "dnas/{dna}"},
      {"balancer { haproxy { backend: 'b' } }", "pool.balancer.haproxy.socket_path", "empty"},
      {"balancer { haproxy { socket_path: 's' backend: 'b' } }",
       "pool.balancer.haproxy.socket_path", "absolute"},
      {"balancer { haproxy { socket_path: '/" + std::string(107, 'x') + "' backend: 'b' } }",
       "pool.balancer.haproxy.socket_path", "107"},
      {"balancer { haproxy { socket_path: '/s' backend: 'b;c' } }", "pool.balancer.haproxy.backend",
       "\"b;c\""},
      {"balancer { haproxy { socket_path: '/s' backend: 'b' slot_prefix: 'a b' } }",
       "pool.balancer.haproxy.slot_prefix", "\"a b\""},
      {"usage_sources {}", "pool.usage_sources[0]", "neither"},
      {"demand_unit: 'a\\nb'", "pool.demand_unit", "control"},
      {"step {}", "pool.step", "0 is not in 1s to 1h"},
      {"step { seconds: 3601 }", "pool.step", "1h1s"},
      {"step { seconds: 1 nanos: 500000000 }", "pool.step", "1.5s is not a whole second"},
      {"season_lengths { seconds: 90 }", "pool.season_lengths[0]", "1m30s is not in 2m"},
      {"season_lengths { seconds: 150 }", "pool.season_lengths[0]",
       "not a multiple of the step, 1m"},
      {"season_lengths { seconds: 36288060 }", "pool.season_lengths[0]", "10080h"},
      {"season_lengths { seconds: 600 } season_lengths { seconds: 600 }", "pool.season_lengths[1]",
       "not longer"},
      {"season_lengths { seconds: 120 } season_lengths { seconds: 180 } "
       "season_lengths { seconds: 240 } season_lengths { seconds: 300 }",
       "pool.season_lengths", "4 entries"},
      {"step { seconds: 7 }", "pool.season_lengths[0]", "24h is not a multiple"},
      {"managed_instances: -1", "pool.managed_instances", "-1"},
      {"managed_instances: 1001", "pool.managed_instances", "0 to 1000"},
      {"external_capacity: -0.5", "pool.external_capacity", "-0.5"},
      {"external_capacity: nan", "pool.external_capacity", "finite"},
      {"external_capacity: inf", "pool.external_capacity", "finite"},
      {"instance_capacity: 0", "pool.instance_capacity", "0 is not in"},
      {"instance_capacity: -1", "pool.instance_capacity", "-1"},
      {"instance_capacity: nan", "pool.instance_capacity", "finite"},
      {"instance_capacity: 1e16", "pool.instance_capacity", "1e+16"},
  });
}

TEST_CASE("the calendar of a pool is its users', with what is known beforehand") {
  const auto compiled = CompilePool(ChangedPool(R"pb(
    time_zone: "Europe/Berlin"
    demand_events {
      description: "New Year's Day"
      start_time { seconds: 1798758000 }
      end_time { seconds: 1798844400 }
      multiplier: 0.5
    }
    demand_events {
      start_time { seconds: 100 }
      end_time { seconds: 200 }
      demand: 0
    }
  )pb"));
  REQUIRE(compiled.ok());
  CHECK(compiled->time_zone.name() == "Europe/Berlin");
  REQUIRE(compiled->demand_events.size() == 2);
  CHECK(compiled->demand_events[0].start_time == absl::FromUnixSeconds(1'798'758'000));
  CHECK(compiled->demand_events[0].multiplier == 0.5);
  CHECK_FALSE(compiled->demand_events[0].demand.has_value());
  CHECK(compiled->demand_events[1].demand == 0);

  CheckRejected(ChangedPool("time_zone: 'Mars/Olympus'"), "pool.time_zone", "time zone database");
  const std::string range = "start_time { seconds: 100 } end_time { seconds: 200 } ";
  const struct {
    std::string event;
    const char* field;
    const char* words;
  } cases[] = {
      {range, "pool.demand_events[0]", "neither multiplier nor demand"},
      {range + "multiplier: 0", "pool.demand_events[0].multiplier", ""},
      {range + "demand: -1", "pool.demand_events[0].demand", ""},
      {"end_time { seconds: 200 } demand: 1", "pool.demand_events[0].start_time", "missing"},
      {"start_time { seconds: 200 } end_time { seconds: 200 } demand: 1",
       "pool.demand_events[0].end_time", "not after"},
  };
  for (const auto& c : cases) {
    CheckRejected(ChangedPool("demand_events { " + c.event + " }"), c.field, c.words);
  }
}

TEST_CASE("a wrong field of a policy is refused by its name") {
  CheckPools({
      {"policy { mode: 7 }", "pool.policy.mode", "7 is not a known value of Mode"},
      {"policy { sizing: 7 }", "pool.policy.sizing", "Sizing"},
      {"policy { service_level: 1 }", "pool.policy.service_level", "1 is not in"},
      {"policy { service_level: 0 }", "pool.policy.service_level", "0 is not in"},
      {"policy { service_level: nan }", "pool.policy.service_level", "finite"},
      {"policy { min_shadow_instances: -1 }", "pool.policy.min_shadow_instances", "-1"},
      {"policy { max_shadow_instances: 1001 }", "pool.policy.max_shadow_instances", "1001"},
      {"policy { max_concurrent_creations: 0 }", "pool.policy.max_concurrent_creations", "0"},
      {"policy { max_concurrent_creations: 1001 }", "pool.policy.max_concurrent_creations", "1001"},
      {"policy { min_shadow_instances: 101 }", "pool.policy.min_shadow_instances",
       "101 is above max_shadow_instances, 100"},
      {"policy { min_predicted_increase: -1 }", "pool.policy.min_predicted_increase", "-1"},
      {"policy { min_predicted_increase: inf }", "pool.policy.min_predicted_increase", "finite"},
      {"policy { headroom: 0.9 }", "pool.policy.headroom", "0.9 is not in 1 to 100"},
      {"policy { headroom: 101 }", "pool.policy.headroom", "101"},
      {"policy { activation_interval { nanos: 99000000 } }", "pool.policy.activation_interval",
       "99ms is not in 100ms to 1h"},
      {"policy { stabilization_window { seconds: -1 } }", "pool.policy.stabilization_window",
       "-1s"},
      {"policy { look_ahead { seconds: 120961 } }", "pool.policy.look_ahead", "33h36m1s"},
      {"policy { usage_max_age { seconds: 59 } }", "pool.policy.usage_max_age", "59s is not in 1m"},
      {"policy { provisioning_lead {} }", "pool.policy.provisioning_lead", "0 is not in"},
      {"policy { activation_lead { seconds: 86401 } }", "pool.policy.activation_lead", "24h1s"},
      {"policy { canary { weight_percent: 0 } }", "pool.policy.canary.weight_percent", "0 is not"},
      {"policy { canary { weight_percent: 101 } }", "pool.policy.canary.weight_percent", "101"},
      {"policy { canary { requests: 0 } }", "pool.policy.canary.requests", "0 is not in"},
      {"policy { canary { timeout {} } }", "pool.policy.canary.timeout", "0 is not in"},
      {"policy { canary { errors_max: -1 } }", "pool.policy.canary.errors_max", "-1"},
      {"policy { canary { latency_ratio_max: 0.5 } }", "pool.policy.canary.latency_ratio_max",
       "0.5"},
      {"policy { canary { latency_slack { seconds: -1 } } }", "pool.policy.canary.latency_slack",
       "-1s"},
      {"policy { drain_timeout {} }", "pool.policy.drain_timeout", "0 is not in"},
      {"policy { suspended_check_interval { nanos: 1 } }", "pool.policy.suspended_check_interval",
       "1ns is not in 1s"},
      {"policy { suspended_check_interval { seconds: -1 } }",
       "pool.policy.suspended_check_interval", "-1s is not in 1s"},
      {"policy { suspended_check_interval { seconds: 2592001 } }",
       "pool.policy.suspended_check_interval", "720h1s"},
      {"policy { priority: 1001 }", "pool.policy.priority", "1001"},
  });
}

TEST_CASE("costs come together, and say what service is worth") {
  CheckPools({
      {"policy { idle_cost: 1 }", "pool.policy.shortage_cost", "goes with idle_cost"},
      {"policy { shortage_cost: 1 }", "pool.policy.idle_cost", "goes with shortage_cost"},
      {"policy { idle_cost: 0 shortage_cost: 1 }", "pool.policy.idle_cost", "0 is not in"},
      {"policy { idle_cost: 1 shortage_cost: -1 }", "pool.policy.shortage_cost", "-1"},
  });
  const auto compiled = CompilePool(ChangedPool("policy { idle_cost: 1 shortage_cost: 9 }"));
  REQUIRE(compiled.status() == absl::OkStatus());
  CHECK(compiled->capacity_target.service_level == 0);
  CHECK(compiled->capacity_target.shortage_cost == 9);
  CHECK(compiled->service_level == 0.9);  // 9 / (1 + 9)
}

TEST_CASE("a wrong override is refused by its name") {
  const std::string weekly = "weekly { start_time_of_day: '08:00' duration { seconds: 60 } ";
  const struct {
    std::string override;
    const char* field;
    const char* words;
  } cases[] = {
      {"", "pool.policy.overrides[0]", "neither"},
      {"max_shadow_instances: 1001", "pool.policy.overrides[0].max_shadow_instances", "1001"},
      {"min_shadow_instances: 3 max_shadow_instances: 2",
       "pool.policy.overrides[0].min_shadow_instances", "above"},
      {"min_shadow_instances: 3 start_time { seconds: 5 } end_time { seconds: 5 }",
       "pool.policy.overrides[0].end_time", "not after"},
      {"min_shadow_instances: 3 weekly { start_time_of_day: '8:00' duration { seconds: 60 } }",
       "pool.policy.overrides[0].weekly.start_time_of_day", "\"8:00\" is not \"HH:MM\""},
      {"min_shadow_instances: 3 weekly { start_time_of_day: '24:00' duration { seconds: 60 } }",
       "pool.policy.overrides[0].weekly.start_time_of_day", "HH:MM"},
      {"min_shadow_instances: 3 weekly { start_time_of_day: '08:00' }",
       "pool.policy.overrides[0].weekly.duration", "0 is not in"},
      {"min_shadow_instances: 3 " + weekly + "time_zone: 'Mars/Olympus' }",
       "pool.policy.overrides[0].weekly.time_zone", "Mars"},
      {"min_shadow_instances: 3 " + weekly + "days: DAY_OF_WEEK_UNSPECIFIED }",
       "pool.policy.overrides[0].weekly.days", "unspecified"},
  };
  for (const auto& c : cases) {
    CheckRejected(ChangedPool("policy { overrides { " + c.override + " } }"), c.field, c.words);
  }
}

TEST_CASE("the lists and the size of a pool are bounded") {
  v1::Pool pool = MinimalPool();
  for (int i = 0; i < 8; ++i) pool.add_usage_sources()->mutable_pushed();
  CHECK(CompilePool(pool).ok());
  pool.add_usage_sources()->mutable_pushed();
  CheckRejected(pool, "pool.usage_sources", "9 entries");
  pool = MinimalPool();
  pool.set_demand_unit(std::string(65, 'x'));
  CheckRejected(pool, "pool.demand_unit", "65 bytes");
  pool.set_demand_unit(std::string(100'000, 'x'));
  CheckRejected(pool, "pool", "bytes");
  pool.set_demand_unit("\xFF");
  CheckRejected(pool, "pool.demand_unit", "UTF-8");
}

}  // namespace
}  // namespace shadow
