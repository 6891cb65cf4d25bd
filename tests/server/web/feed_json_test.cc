#include "server/web/feed_json.h"

#include <catch2/catch.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "server/core/time_proto.h"
#include "server/web/feed_messages.h"
#include "server/web/feed_series.h"

namespace shadow {
namespace {

using nlohmann::json;

const absl::Time kNoon = absl::FromUnixSeconds(1'800'000'000);

v1::Pool FeedPool() {
  v1::Pool pool;
  pool.set_name("pools/web");
  pool.set_demand_unit("requests/s");
  *pool.mutable_step() = ToProto(absl::Minutes(1));
  pool.set_managed_instances(2);
  pool.set_serving_base_instances(2);
  pool.set_instance_capacity(50);
  pool.mutable_policy()->set_mode(v1::Policy::AUTOMATIC);
  pool.mutable_policy()->set_service_level(0.99);
  return pool;
}

void AddInstance(PoolSnapshot& pool, const std::string& name, v1::Instance::State state,
                 const std::string& reason = "") {
  v1::Instance& instance = pool.instances[name];
  instance.set_name(name);
  const bool shadow = name.find("shadowPools") != std::string::npos;
  instance.set_role(shadow ? v1::Instance::SHADOW : v1::Instance::BASE);
  instance.set_state(state);
  instance.set_reason(reason);
}

// Two of the base serve, and one of three shadows.
PoolSnapshot FeedPoolSnapshot() {
  PoolSnapshot pool;
  pool.pool = FeedPool();
  v1::ShadowPool& shadow = pool.shadows["pools/web/shadowPools/r1"];
  shadow.set_target_instances(3);
  shadow.set_target_activation_level(33);
  shadow.set_serving_instances(1);
  AddInstance(pool, "pools/web/instances/i9", v1::Instance::ACTIVE);
  AddInstance(pool, "pools/web/instances/i10", v1::Instance::ACTIVE);
  AddInstance(pool, "pools/web/shadowPools/r1/instances/i3", v1::Instance::ACTIVE);
  AddInstance(pool, "pools/web/shadowPools/r1/instances/i4", v1::Instance::SUSPENDED);
  AddInstance(pool, "pools/web/shadowPools/r1/instances/i5", v1::Instance::FAILED, "exit status 1");
  return pool;
}

void AddCondition(PoolSnapshot& pool, const std::string& type, const std::string& reason,
                  const std::string& message) {
  v1::Condition& condition = *pool.pool.add_conditions();
  condition.set_type(type);
  condition.set_status(v1::Condition::FALSE);
  condition.set_reason(reason);
  condition.set_message(message);
}

json OnlyBrief(PoolSnapshot pool) {
  Snapshot snapshot;
  snapshot.pools.Set(pool.pool.name(), std::make_shared<const PoolSnapshot>(std::move(pool)));
  return json::parse(StateJson(snapshot, 10))["pools"][0];
}

v1::Sample FeedSample(absl::Time time, double value) {
  v1::Sample sample;
  *sample.mutable_time() = ToProto(time);
  sample.set_value(value);
  return sample;
}

v1::Decision FeedDecision(absl::Time time, int before, int target, bool acted) {
  v1::Decision decision;
  *decision.mutable_time() = ToProto(time);
  decision.mutable_inputs()->set_base_capacity(100);
  decision.mutable_inputs()->set_instance_capacity(50);
  decision.mutable_inputs()->set_current_instances(before);
  decision.set_target_instances(target);
  decision.set_target_active(1);
  decision.mutable_inputs()->set_current_active(1);
  decision.set_acted(acted);
  return decision;
}

}  // namespace

TEST_CASE("the feed's state counts all pools and shows the first ones") {
  Snapshot snapshot;
  for (const std::string name : {"pools/a", "pools/b", "pools/c"}) {
    PoolSnapshot pool = FeedPoolSnapshot();
    pool.pool.set_name(name);
    snapshot.pools.Set(name, std::make_shared<const PoolSnapshot>(std::move(pool)));
  }
  const json state = json::parse(StateJson(snapshot, 2));
  CHECK(state["pools_total"] == 3);
  CHECK(state["serving"] == 9);
  CHECK(state["suspended"] == 3);
  CHECK(state["attention"] == 0);
  REQUIRE(state["pools"].size() == 2);
  CHECK(state["pools"][1]["id"] == "b");
  CHECK(state["pools"][1]["shadow_serving"] == 1);
  CHECK(state["pools"][1]["shadow_target"] == 3);
  CHECK(state["pools"][1]["states"] == json{{"ACTIVE", 3}, {"FAILED", 1}, {"SUSPENDED", 1}});
}

TEST_CASE("the feed calls a pool bad for what a person must look at and names it") {
  struct Row {
    std::string type;
    std::string reason;
    std::string health;
  };
  const Row row =
      GENERATE(Row{"BalancerReachable", "Unavailable", "bad"}, Row{"UsageFresh", "Stale", "bad"},
               Row{"Scaling", "AtMaximum", "bad"}, Row{"ForecastTrusted", "WorseThanNaive", "warn"},
               Row{"Scaling", "Observing", "good"}, Row{"Scaling", "Held", "good"},
               Row{"Ready", "Starting", "good"});
  PoolSnapshot pool = FeedPoolSnapshot();
  AddCondition(pool, row.type, row.reason, "words");
  const json brief = OnlyBrief(pool);
  CHECK(brief["health"] == row.health);
  CHECK(brief["why"] == (row.health == "good" ? "All is as wanted" : row.type + ": words"));
}

TEST_CASE("the feed says of a pool without data that nothing was reported yet") {
  PoolSnapshot pool = FeedPoolSnapshot();
  AddCondition(pool, "UsageFresh", "NoSampleYet", "");
  pool.pool.mutable_conditions(0)->set_status(v1::Condition::UNKNOWN);
  CHECK(OnlyBrief(pool)["health"] == "idle");
  CHECK(OnlyBrief(pool)["why"] == "No usage has been reported yet");
  AddCondition(pool, "ProviderReachable", "Unavailable", "away");
  CHECK(OnlyBrief(pool)["health"] == "bad");
}

TEST_CASE("the feed's pool has its capacity, and its instances by role and age") {
  const json pool = json::parse(PoolJson(FeedPoolSnapshot()));
  CHECK(pool["active_capacity"] == 150);
  CHECK(pool["shadow_level"] == 33);
  CHECK(pool["instances_total"] == 5);
  std::string ids;
  for (const json& instance : pool["instances"]) ids += instance["id"].get<std::string>() + " ";
  CHECK(ids == "i9 i10 i3 i4 i5 ");
  CHECK(pool["instances"][4]["reason"] == "exit status 1");
  CHECK(pool["instances"][0]["woke_s"].is_null());
}

TEST_CASE("the feed replaces bytes that are no UTF-8 and passes markup on as text") {
  PoolSnapshot pool = FeedPoolSnapshot();
  pool.pool.set_demand_unit("<script>");
  AddCondition(pool, "ProviderReachable", "Unavailable", "a\xff\"b");
  const json brief = OnlyBrief(pool);
  CHECK(brief["unit"] == "<script>");
  CHECK(brief["why"] == "ProviderReachable: a\xef\xbf\xbd\"b");
}

TEST_CASE("the feed's chart has means of steps, and nothing where a step has no sample") {
  FeedChart chart{.start = kNoon - absl::Hours(24),
                  .now = kNoon,
                  .samples = {FeedSample(kNoon - absl::Minutes(5), 10),
                              FeedSample(kNoon - absl::Minutes(5) + absl::Seconds(30), 20),
                              FeedSample(kNoon - absl::Minutes(2), 1.0 / 3)},
                  .decisions = {},
                  .forecast = absl::FailedPreconditionError("no usage yet")};
  const json made = json::parse(ChartJson(FeedPoolSnapshot(), chart));
  const double noon = 1'800'000'000;
  CHECK(made["history"] == json{{noon - 300, 15}, {noon - 120, 0.333333}});
  CHECK(made["last"] == json{noon - 120, 0.333333});
  CHECK(made["error"] == "no usage yet");
  CHECK(made["forecast"]["points"].empty());
  CHECK(made["trust"] == "");
}

TEST_CASE("the feed's capacity is what decisions asked for, where they were carried out") {
  FeedChart chart{.start = kNoon - absl::Hours(24),
                  .now = kNoon,
                  .samples = {},
                  .decisions = {FeedDecision(kNoon - absl::Hours(1), 5, 8, false),
                                FeedDecision(kNoon - absl::Hours(2), 2, 5, true),
                                FeedDecision(kNoon - absl::Hours(25), 0, 2, true)},
                  .forecast = v1::Forecast()};
  const json capacity = json::parse(ChartJson(FeedPoolSnapshot(), chart))["capacity"];
  const double noon = 1'800'000'000;
  // 100 of the base, and 50 of each instance. What was only observed changes nothing; at the end
  // stands what holds now, three of which one serves.
  CHECK(capacity ==
        json{{noon - 25 * 3600, 200, 150}, {noon - 2 * 3600, 350, 150}, {noon, 250, 150}});
}

TEST_CASE("the feed's forecast keeps its quantiles, and the service level among them") {
  v1::Forecast forecast;
  for (const double quantile : {0.05, 0.5, 0.99}) forecast.add_quantiles(quantile);
  v1::Forecast::Point& point = *forecast.add_points();
  *point.mutable_time() = ToProto(kNoon);
  for (const double value : {1.0, 2.0, 1234567.0}) point.add_values(value);
  forecast.set_trust(v1::TRUSTED);
  const FeedChart chart{
      .start = kNoon, .now = kNoon, .samples = {}, .decisions = {}, .forecast = forecast};
  const json made = json::parse(ChartJson(FeedPoolSnapshot(), chart));
  CHECK(made["forecast"]["quantiles"][2] == made["service_level"]);
  CHECK(made["forecast"]["points"] == json{{1'800'000'000.0, 1, 2, 1234570}});
  CHECK(made["trust"] == "TRUSTED");
}

TEST_CASE("a spark of much data has few points") {
  FeedChart chart{.start = kNoon - absl::Hours(24),
                  .now = kNoon,
                  .samples = {},
                  .decisions = {},
                  .forecast = v1::Forecast()};
  for (int i = 1440; i > 0; --i) {
    chart.samples.push_back(FeedSample(kNoon - absl::Minutes(i), i));
  }
  const json spark = json::parse(SparkJson(FeedPool(), chart));
  CHECK(spark["points"].size() == 96);
  CHECK(spark["points"][0][1] == 1433);  // The mean of 1440 to 1426.
  CHECK(spark["last"][1] == 1);
  chart.samples.clear();
  CHECK(json::parse(SparkJson(FeedPool(), chart))["last"].is_null());
}

TEST_CASE("a change names the pools that came, went or differ, and no others") {
  const auto one = std::make_shared<const PoolSnapshot>(FeedPoolSnapshot());
  const auto other = std::make_shared<const PoolSnapshot>(FeedPoolSnapshot());
  Snapshot before;
  for (const std::string name : {"pools/a", "pools/b", "pools/c"}) before.pools.Set(name, one);
  Snapshot after = before;
  after.revision = 7;
  after.pools.Set("pools/b", other);
  after.pools.Set("pools/d", one);
  after.pools.Erase("pools/c");
  const std::string message = ChangeMessage(before, after, kNoon);
  const std::string begin = "event: change\ndata: ";
  REQUIRE(message.starts_with(begin));
  REQUIRE(message.ends_with("\n\n"));
  const json change = json::parse(message.substr(begin.size()));
  CHECK(change["revision"] == 7);
  CHECK(change["pools"] == json{"b", "c", "d"});
  CHECK(change["all"] == false);
}

TEST_CASE("a change of very many pools names none of them") {
  const auto pool = std::make_shared<const PoolSnapshot>(FeedPoolSnapshot());
  Snapshot after;
  for (size_t i = 0; i <= kFeedNamesMax; ++i) after.pools.Set("pools/p" + std::to_string(i), pool);
  const std::string message = ChangeMessage({}, after, kNoon);
  CHECK(message.find("\"all\":true") != std::string::npos);
  CHECK(message.size() < 200);
}

}  // namespace shadow
