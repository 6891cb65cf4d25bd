#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "client/output/columns.h"
#include "client/output/explain.h"
#include "client/output/json.h"
#include "client/output/table.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

using Json = nlohmann::ordered_json;

v1::ShadowPool SomeShadow() {
  v1::ShadowPool shadow;
  shadow.set_name("pools/web/shadowPools/r1");
  shadow.set_state(v1::ShadowPool::ACTIVE);
  shadow.set_target_instances(3);
  shadow.set_target_activation_level(50);
  shadow.set_serving_instances(2);
  shadow.set_suspended_instances(1);
  return shadow;
}

TEST_CASE("JSON of a shadow pool has every promised field even when it is zero") {
  const Json json = Json::parse(JsonText(v1::ShadowPool()));
  for (const char* key : {"name", "state", "targetInstances", "targetActivationLevel",
                          "servingInstances", "dnaRevision", "holdUntilTime"}) {
    INFO(key);
    CHECK(json.contains(key));
  }
  CHECK(json["holdUntilTime"].is_null());
  CHECK(json["targetInstances"] == 0);
  CHECK_FALSE(json.contains("createTime"));
}

TEST_CASE("JSON of lists, presence, times and 64-bit numbers is protobuf's") {
  CHECK(Json::parse(JsonText(v1::Forecast()))["points"].is_array());
  CHECK(Json::parse(JsonText(v1::Process()))["environment"].is_object());
  v1::Usage usage;
  CHECK_FALSE(Json::parse(JsonText(usage)).contains("demand"));
  usage.set_demand(0);
  usage.set_sample_count(1234567890123);
  CHECK(Json::parse(JsonText(usage))["demand"] == 0);
  CHECK(Json::parse(JsonText(usage))["sampleCount"] == "1234567890123");
  v1::Pool pool;
  pool.mutable_step()->set_seconds(60);
  pool.mutable_activation_lead()->set_nanos(150'000'000);
  pool.mutable_hold_until_time()->set_seconds(1777636800);
  pool.set_external_capacity(100);
  const Json json = Json::parse(JsonText(pool));
  CHECK(json["step"] == "60s");
  CHECK(json["activationLead"] == "0.150s");
  CHECK(json["holdUntilTime"] == "2026-05-01T12:00:00Z");
  CHECK(json["externalCapacity"] == 100);
  CHECK_FALSE(json.contains("managedInstances"));
}

TEST_CASE("JSON of the host's bytes is readable text that cannot steer a terminal") {
  v1::ShadowPool shadow;
  shadow.set_failure_reason("exit 1: \xFF\x1b[2J caf\xC3\xA9 \x7F\xC2\x9B");
  const std::string text = JsonText(shadow);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK_THAT(text, Catch::Contains("exit 1: \xEF\xBF\xBD\\u001b[2J caf\xC3\xA9 \\u007f\\u009b"));
  CHECK(Json::parse(text)["failureReason"] ==
        "exit 1: \xEF\xBF\xBD\x1b[2J caf\xC3\xA9 \x7F\xC2\x9B");
}

TEST_CASE("a JSON line is one line and says when its resource is gone") {
  const std::string line = JsonText(SomeShadow(), {.layout = JsonLayout::kLine, .deleted = true});
  CHECK(line.find('\n') == std::string::npos);
  CHECK_THAT(line, Catch::StartsWith(R"({"name":"pools/web/shadowPools/r1","state":"ACTIVE",)"));
  CHECK_THAT(line, Catch::EndsWith(R"("deleted":true})"));
}

TEST_CASE("a table is aligned by what it shows and ends without spaces") {
  const std::vector<TableColumn> columns = {
      {"NAME"}, {"STATE", Cells::kState}, {"N", Cells::kNumber}, {"WHY"}};
  const std::vector<TableRow> rows = {
      {"größe", "ACTIVE", "5", ""}, {"b", "FAILED", "120", "exit\n1"}, {"c"}};
  CHECK(RenderTable(columns, rows, false) ==
        "NAME   STATE     N  WHY\n"
        "größe  ACTIVE    5  -\n"
        "b      FAILED  120  exit 1\n"
        "c      -         -  -\n");
  CHECK(RenderTable(std::vector<TableColumn>{{"STATE", Cells::kState}, {"X"}},
                    std::vector<TableRow>{{"FAILED", "1"}},
                    true) == "STATE   X\n\x1b[31mFAILED\x1b[0m  1\n");
}

TEST_CASE("a table that is too wide is cut, its widest texts first and its names last") {
  const std::vector<TableColumn> columns = {
      {"NAME"}, {"STATE", Cells::kState}, {"N", Cells::kNumber}, {"WHY"}};
  const std::vector<TableRow> rows = {
      {"a-long-name-of-a-pool", "ACTIVE", "5", "größe: the port is in use"}, {"b", "-", "12", "x"}};
  CHECK(RenderTable(columns, rows, false, {.columns_max = 45}) ==
        "NAME                   STATE    N  WHY\n"
        "a-long-name-of-a-pool  ACTIVE   5  größe: th…\n"
        "b                      -       12  x\n");
  CHECK(RenderTable(columns, rows, false, {.columns_max = 45, .utf8 = false}) ==
        "NAME                   STATE    N  WHY\n"
        "a-long-name-of-a-pool  ACTIVE   5  größe: th~\n"
        "b                      -       12  x\n");
  // Where nothing else can be cut, the end of the line goes.
  CHECK(RenderTable(columns, rows, false, {.columns_max = 26}) ==
        "NAME                   ST…\n"
        "a-long-name-of-a-pool  AC…\n"
        "b                      -\n");
  for (std::size_t width = 1; width < 80; ++width) {
    const std::string table = RenderTable(columns, rows, false, {.columns_max = width});
    INFO(width << "\n" << table);
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) CHECK(DisplayColumns(line) <= width);
  }
}

TEST_CASE("shadow pools, pools and instances have their tables") {
  const absl::Time now = absl::FromUnixSeconds(1000);
  v1::ShadowPool shadow = SomeShadow();
  *shadow.mutable_hold_until_time() = ToProto(now + absl::Minutes(30));
  CHECK(RenderMessages(ShadowColumns(), std::vector<v1::ShadowPool>{shadow}, now, false) ==
        "NAME    STATE   READY  LEVEL  SERVING  FAILED  AGE  HOLD  REASON\n"
        "web/r1  ACTIVE    3/3    50%        2       0  -    30m   -\n");
  CHECK(RenderMessages(ShadowColumns(), std::vector<v1::ShadowPool>{shadow}, now, false,
                       {.wide = true}) ==
        "NAME    STATE   READY  LEVEL  SERVING  SUSPENDED  FAILED  AGE  HOLD  DNA  REASON\n"
        "web/r1  ACTIVE    3/3    50%        2          1       0  -    30m   -    -\n");

  PoolRow row;
  row.pool.set_name("pools/web");
  row.pool.set_state(v1::Pool::READY);
  row.pool.set_dna("dnas/web");
  row.pool.set_managed_instances(2);
  *row.pool.mutable_create_time() = ToProto(now - absl::Hours(2));
  row.demand = "12 requests/s";
  row.failed = 1;
  row.failure = "exit 1";
  v1::Condition& problem = *row.pool.add_conditions();
  problem.set_type("BalancerReachable");
  problem.set_status(v1::Condition::FALSE);
  problem.set_reason("Unavailable");
  CHECK(RenderMessages(PoolColumns(), std::vector<PoolRow>{row}, now, false) ==
        "NAME  STATE  MODE     READY  SHADOW  FAILED  DEMAND         SCORE    AGE  PROBLEM\n"
        "web   READY  OBSERVE  0/2    -            1  12 requests/s  not yet  2h   "
        "BalancerReachable: Unavailable, exit 1\n");

  v1::Instance instance;
  instance.set_name("pools/web/shadowPools/r1/instances/i1");
  instance.set_role(v1::Instance::SHADOW);
  instance.set_state(v1::Instance::FAILED);
  instance.set_reason("exit \x1b");
  *instance.mutable_create_time() = ToProto(now - absl::Seconds(5));
  CHECK(RenderMessages(InstanceColumns(), std::vector<v1::Instance>{instance}, now, false) ==
        "NAME       ROLE    STATE   ADDRESS  WEIGHT  AGE  REASON\n"
        "web/r1/i1  SHADOW  FAILED  -            0%  5s   exit ?\n");
}

TEST_CASE("a decision is explained with its numbers, unknown ones as unknown") {
  v1::Decision decision;
  decision.set_pool("pools/web");
  decision.set_id(7);
  decision.set_kind(v1::Decision::SIZE);
  decision.set_explanation("the forecast passes the threshold");
  decision.set_target_instances(3);
  decision.add_reasons(v1::Decision::PREDICTED_INCREASE);
  decision.add_reasons(v1::Decision::AT_MAXIMUM);
  decision.mutable_inputs()->mutable_usage()->set_demand(42.5);
  decision.mutable_inputs()->set_base_capacity(80);
  const std::string text = ExplainDecision(decision);
  CHECK_THAT(text, Catch::StartsWith("pools/web, SIZE decision 7 at 1970-01-01T00:00:00Z (not "
                                     "acted on)\nthe forecast passes the threshold\n"));
  CHECK_THAT(text, Catch::Contains("PREDICTED_INCREASE, AT_MAXIMUM\n"));
  CHECK_THAT(text, Catch::Contains("  demand                     42.5\n"));
  CHECK_THAT(text, Catch::Contains("  base capacity              80\n"));
  CHECK_THAT(text, Catch::Contains("  forecast, activation lead  unknown within 0\n"));
}

}  // namespace
}  // namespace shadow
