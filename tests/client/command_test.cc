// The commands against a daemon, over real gRPC.
#include <grpcpp/support/status_code_enum.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kDnaText[] = "name: dnas/web\nprocess: {argv: [/bin/web]}\n";
constexpr char kPoolText[] = "name: pools/web\ndna: dnas/web\nmanaged_instances: 2\n";

void AddShadow(FakeDaemon& daemon, const std::string& id, v1::ShadowPool::State shadow_state) {
  v1::ShadowPool& shadow = daemon.state.shadows["pools/web/shadowPools/" + id];
  shadow.set_name("pools/web/shadowPools/" + id);
  shadow.set_state(shadow_state);
  shadow.set_target_instances(3);
}

TEST_CASE("apply creates, configures and leaves alone, DNAs first") {
  FakeDaemon daemon;
  const std::string both = std::string(kPoolText) + "---\n" + kDnaText;
  Ran ran = Run(daemon, {"apply", "-f", "-"}, both);
  INFO(ran.err);
  CHECK(ran.exit_code == 0);
  CHECK(ran.out == "dnas/web created\npools/web created\n");
  CHECK(daemon.state.dnas.at("dnas/web").process().argv(0) == "/bin/web");
  CHECK(Run(daemon, {"apply", "-f", "-"}, both).out == "dnas/web unchanged\npools/web unchanged\n");
  ran = Run(daemon, {"apply", "-f", "-"}, "{\"name\": \"pools/web\", \"managedInstances\": 5}");
  CHECK(ran.out == "pools/web configured\n");
  ran = Run(daemon, {"apply", "-f", "-"}, "name: dnas/web\nprocess: {argv: [/bin/web, -v]}");
  CHECK(ran.out == "dnas/web configured\n");
  CHECK(daemon.state.pools.at("pools/web").managed_instances() == 5);
}

TEST_CASE("apply changes nothing where the daemon refuses one of its documents") {
  FakeDaemon daemon;
  daemon.state.dnas_must_be_there = true;
  const Ran ran = Run(daemon, {"apply", "-f", "-"},
                      std::string(kDnaText) + "---\nname: pools/x\ndna: dnas/y\n");
  CHECK(ran.exit_code == 3);
  CHECK(ran.err == "error: NOT_FOUND: pool.dna: dnas/y does not exist\n");
  CHECK(ran.out.empty());
  CHECK(daemon.state.dnas.empty());
}

TEST_CASE("a dry run of a pool takes the DNA of its own file for there, and changes nothing") {
  FakeDaemon daemon;
  daemon.state.dnas_must_be_there = true;
  const std::string both = std::string(kPoolText) + "---\n" + kDnaText;
  const Ran dry = Run(daemon, {"apply", "-f", "-", "--dry-run"}, both);
  INFO(dry.err);
  CHECK(dry.exit_code == 0);
  CHECK(dry.out ==
        "dnas/web created (dry run: nothing was changed)\n"
        "pools/web created (dry run: nothing was changed)\n");
  CHECK(daemon.state.dnas.empty());
  CHECK(daemon.state.pools.empty());
  CHECK(Run(daemon, {"apply", "-f", "-"}, both).out == "dnas/web created\npools/web created\n");
  CHECK(Run(daemon, {"apply", "-f", "-", "--dry-run"}, kPoolText).exit_code == 0);
}

TEST_CASE("apply --wait returns when the pool is no longer reconciling") {
  FakeDaemon daemon;
  daemon.state.gets_until_settled = 3;
  const Ran ran = Run(daemon, {"apply", "--wait", "-f", "-"}, kPoolText);
  CHECK(ran.exit_code == 0);
  CHECK(ran.out == "pools/web created\n");
  CHECK(ran.err == "pools/web: READY, 0 of 2 base instances serve\n");
  CHECK(daemon.state.gets_until_settled == 0);
}

TEST_CASE("apply -o json prints one line a document") {
  FakeDaemon daemon;
  const Ran ran = Run(daemon, {"-o", "json", "apply", "-f", "-"}, kDnaText);
  CHECK(Json::parse(ran.out)["name"] == "dnas/web");
  CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 1);
}

TEST_CASE("request ids and dry runs reach the daemon, each document with an id of its own") {
  FakeDaemon daemon;
  CHECK(Run(daemon, {"dna", "create", "-f", "-", "--request-id", "a", "--dry-run"}, kDnaText).out ==
        "dnas/web created, revision 000000000001 (dry run: nothing was changed)\n");
  Run(daemon, {"apply", "-f", "-", "--request-id", "b"},
      std::string(kDnaText) + "---\n" + kPoolText);
  CHECK(daemon.state.calls == std::vector<std::string>{"CreateDna a dry", "GetDna", "UpdateDna dry",
                                                       "GetPool", "UpdatePool dry", "GetDna",
                                                       "UpdateDna b-1", "GetPool",
                                                       "UpdatePool b-2"});
}

TEST_CASE("lists are taken with all their pages") {
  FakeDaemon daemon;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    v1::Dna& dna = daemon.state.dnas[std::string("dnas/") + name];
    dna.set_name(std::string("dnas/") + name);
  }
  const Json json = Json::parse(Run(daemon, {"dna", "list", "-o", "json"}).out);
  REQUIRE(json["dnas"].size() == 5);
  CHECK(json["dnas"][4]["name"] == "dnas/e");
  CHECK(json["nextPageToken"] == "");
  CHECK(daemon.state.calls.size() == 3);
  CHECK(Run(daemon, {"dna", "get", "a"}).out ==
        "NAME  REVISION  REVISIONS  AGE  COMMAND\n"
        "a     -                 0  -    -\n");
}

TEST_CASE("empty lists are printed as lists") {
  FakeDaemon daemon;
  CHECK(Run(daemon, {"shadow", "list", "-o", "json"}).out ==
        "{\n  \"shadowPools\": [],\n  \"nextPageToken\": \"\"\n}\n");
  CHECK(Run(daemon, {"pool", "list"}).out ==
        "NAME  STATE  MODE  READY  SHADOW  FAILED  DEMAND  SCORE  AGE  PROBLEM\n");
}

TEST_CASE("a pool's row shows its shadow and its demand") {
  FakeDaemon daemon;
  Run(daemon, {"pool", "create", "-f", "-"}, kPoolText);
  AddShadow(daemon, "r1", v1::ShadowPool::SUSPENDED);
  v1::Pool& pool = daemon.state.pools["pools/web"];
  pool.mutable_step()->set_seconds(4);
  pool.mutable_policy()->mutable_usage_max_age()->set_seconds(10);
  daemon.state.forecast.add_history()->set_value(11);
  daemon.state.forecast.add_history()->set_value(12.5);
  CHECK(Run(daemon, {"pool", "list"}).out ==
        "NAME  STATE  MODE     READY  SHADOW  FAILED  DEMAND  SCORE    AGE  PROBLEM\n"
        "web   READY  OBSERVE  0/2    3 @ 0%       0  12.5    not yet  -    -\n");
  CHECK(daemon.state.get_forecast.history_steps() == 3);
}

TEST_CASE("a shadow pool is created, activated, resized and deleted by the name of its pool") {
  FakeDaemon daemon;
  daemon.state.gets_until_settled = 2;
  Ran ran =
      Run(daemon, {"shadow", "create", "web", "--increase", "120.5", "--hold", "30m", "--wait"});
  CHECK(ran.out ==
        "pools/web/shadowPools/r1 is SUSPENDED: 3 shadow instances, level 0%, 0 serving\n");
  CHECK_THAT(ran.err, Catch::StartsWith("pools/web/shadowPools/r1: CREATING, level 0% of 3"));
  CHECK(daemon.state.create_shadow.pool() == "pools/web");
  CHECK(daemon.state.create_shadow.predicted_demand_increase() == 120.5);
  CHECK(daemon.state.create_shadow.hold_duration().seconds() == 1800);

  ran = Run(daemon, {"shadow", "activate", "web", "--level", "0", "--hold", "0", "-o", "json"});
  const Json json = Json::parse(ran.out);
  CHECK(json["name"] == "pools/web/shadowPools/r1");
  CHECK(json["holdUntilTime"].is_null());
  CHECK(daemon.state.activate.has_activation_level());
  CHECK(daemon.state.activate.has_hold_duration());
  CHECK(daemon.state.activate.hold_duration().seconds() == 0);

  Run(daemon, {"shadow", "activate", "web/r1", "--level", "50"});
  CHECK_FALSE(daemon.state.activate.has_hold_duration());
  CHECK(daemon.state.activate.activation_level() == 50);

  ran = Run(daemon, {"shadow", "resize", "pools/web/shadowPools/r1", "--instances", "1"});
  CHECK(ran.out ==
        "pools/web/shadowPools/r1 is SUSPENDED: 1 shadow instance, level 50%, 0 serving\n");

  daemon.state.gets_until_settled = 2;
  ran = Run(daemon, {"shadow", "delete", "web", "--wait"});
  CHECK(ran.out == "pools/web/shadowPools/r1 deleted\n");
  CHECK(daemon.state.shadows.empty());

  CHECK(Run(daemon, {"shadow", "release", "web"}).out == "pools/web released\n");
}

TEST_CASE("a bare name that means several shadow pools is refused with all of them") {
  FakeDaemon daemon;
  AddShadow(daemon, "r1", v1::ShadowPool::ACTIVE);
  AddShadow(daemon, "r2", v1::ShadowPool::CREATING);
  AddShadow(daemon, "r3", v1::ShadowPool::CREATING);
  const Ran ran = Run(daemon, {"shadow", "get", "web"});
  CHECK(ran.exit_code == 2);
  CHECK(ran.err ==
        "error: INVALID_ARGUMENT: name: pools/web has 3 shadow pools, name one of them: web/r1, "
        "web/r2, web/r3\n");
  const Ran none = Run(daemon, {"shadow", "get", "api"});
  CHECK(none.exit_code == 3);
  CHECK(none.err == "error: NOT_FOUND: name: pools/api has no shadow pool\n");
}

TEST_CASE("waiting ends with an error when its time is over or the shadow pool failed") {
  FakeDaemon daemon;
  AddShadow(daemon, "r1", v1::ShadowPool::ACTIVATING);
  const Ran late =
      Run(daemon, {"shadow", "activate", "web", "--level", "50", "--wait", "--timeout", "1s"});
  CHECK(late.exit_code == 6);
  CHECK_THAT(late.err, Catch::Contains("error: DEADLINE_EXCEEDED: still not there after 1s "
                                       "(--timeout): pools/web/shadowPools/r1: ACTIVATING"));
  CHECK(daemon.state.calls.size() == 20);  // List, Activate, and three at 0, 0.2, ... 1 s.

  v1::ShadowPool& shadow = daemon.state.shadows.begin()->second;
  shadow.set_state(v1::ShadowPool::FAILED);
  shadow.set_failure_reason("exit\n\xFF");
  const Ran failed = Run(daemon, {"shadow", "activate", "web", "--level", "50", "--wait"});
  CHECK(failed.exit_code == 1);
  CHECK_THAT(failed.err, Catch::EndsWith("last failure: exit \xEF\xBF\xBD\n"));
}

TEST_CASE("the daemon's errors become exit codes and one line") {
  const struct {
    ScriptedError error;
    int exit_code;
    const char* line;
  } table[] = {
      {{grpc::StatusCode::INVALID_ARGUMENT, "101 is not 0 to 100", "activation_level", "BAD"},
       2,
       "error: INVALID_ARGUMENT: activation_level: 101 is not 0 to 100\n"},
      {{grpc::StatusCode::INVALID_ARGUMENT, "activation_level: 101 is not 0 to 100",
        "activation_level", "BAD"},
       2,
       "error: INVALID_ARGUMENT: activation_level: 101 is not 0 to 100\n"},
      {{grpc::StatusCode::NOT_FOUND, "name: no", "", ""}, 3, "error: NOT_FOUND: name: no\n"},
      {{grpc::StatusCode::PERMISSION_DENIED, "uid 5 may only read", "", "NOT_ADMIN"},
       4,
       "error: PERMISSION_DENIED: uid 5 may only read\n"},
      {{grpc::StatusCode::ALREADY_EXISTS, "there", "", ""}, 5, "error: ALREADY_EXISTS: there\n"},
      {{grpc::StatusCode::ABORTED, "etag", "", ""}, 5, "error: ABORTED: etag\n"},
      {{grpc::StatusCode::UNAVAILABLE, "the disk is full", "", "DISK_FULL"},
       6,
       "error: UNAVAILABLE: the disk is full\n"},
      {{grpc::StatusCode::INTERNAL, "bug \x1b[2J", "", ""}, 1, "error: INTERNAL: bug ?[2J\n"},
  };
  for (const auto& row : table) {
    FakeDaemon daemon;
    daemon.state.errors = {row.error};
    const Ran ran = Run(daemon, {"shadow", "activate", "web/r1", "--level", "101"});
    CHECK(ran.exit_code == row.exit_code);
    CHECK(ran.err == row.line);
    CHECK(ran.out.empty());
  }
}

std::string Csv(int samples, int first_second = 1000) {
  std::string csv = "timestamp,value\n";
  for (int i = 0; i < samples; ++i) csv += std::to_string(first_second + i) + ",1\n";
  return csv;
}

TEST_CASE("samples are sent all or nothing, a single value goes with its time") {
  FakeDaemon daemon;
  Ran ran = Run(daemon, {"usage", "push", "web", "--csv", "-"}, Csv(12'000));
  CHECK(ran.out == "pools/web: 12000 samples accepted\n");
  CHECK(daemon.state.batch_sizes == std::vector<std::int64_t>{12'000});

  ran = Run(daemon, {"usage", "push", "web", "--value", "42", "-o", "json"});
  CHECK(Json::parse(ran.out)["acceptedSamples"] == "1");
  CHECK(daemon.state.batch.samples(0).time().seconds() == 1777636800);
  Run(daemon, {"usage", "push", "web", "--value", "-1", "--time", "2026-05-01T10:00:00Z"});
  CHECK(daemon.state.batch.samples(0).value() == -1);  // For the daemon to refuse.
  CHECK(daemon.state.batch.samples(0).time().seconds() == 1777629600);

  CHECK(Run(daemon, {"usage", "push", "web", "--csv", "-", "--dry-run"}, "timestamp,value\n5,1\n")
            .out == "pools/web: 1 sample accepted (dry run: nothing was changed)\n");
  CHECK(Run(daemon, {"usage", "push", "web", "--csv", "-"}, "timestamp,value\n5,x\n").exit_code ==
        2);
}

TEST_CASE("a sample that the daemon refuses is named by its line in the file") {
  FakeDaemon daemon;
  daemon.state.errors = {
      {grpc::StatusCode::INVALID_ARGUMENT, "samples[3].time: too old", "samples[3].time", "ORDER"}};
  const Ran ran = Run(daemon, {"usage", "push", "web", "--csv", "-"},
                      "timestamp,value\n\n1,1\n2,\n3,1\n4,1\n5,1\n");
  CHECK(ran.exit_code == 2);
  CHECK(ran.err == "error: INVALID_ARGUMENT: standard input: line 7: samples[3].time: too old\n");
}

TEST_CASE("more samples than a batch takes are checked as a whole before the first is sent") {
  FakeDaemon daemon;
  daemon.state.pools["pools/web"].mutable_step()->set_seconds(60);
  constexpr int kNow = 1777636800;
  Ran ran = Run(daemon, {"usage", "push", "web", "--csv", "-"}, Csv(150'000, kNow - 149'900));
  CHECK(ran.exit_code == 2);
  // Up to a step ahead is taken: second 60 is the sample 149,960, line 149,962 of the file.
  CHECK(ran.err ==
        "error: INVALID_ARGUMENT: standard input: line 149963: its time, 2026-05-01T12:01:01Z, is "
        "more than a step in the future\n");
  CHECK(daemon.state.batch_sizes.empty());

  ran = Run(daemon, {"usage", "push", "web", "--csv", "-"}, Csv(150'000, kNow - 150'000));
  CHECK(ran.out == "pools/web: 150000 samples accepted\n");
  CHECK(daemon.state.batch_sizes == std::vector<std::int64_t>{100'000, 50'000});

  daemon.state.errors = {{}, {}, {grpc::StatusCode::UNAVAILABLE, "full", "", "DISK_FULL"}};
  ran = Run(daemon, {"usage", "push", "web", "--csv", "-"}, Csv(150'000, kNow - 150'000));
  CHECK(ran.err ==
        "error: UNAVAILABLE: full; the 100000 samples before line 100002 were accepted\n");
}

TEST_CASE("history is sent from its end, as each batch has to be older than what there is") {
  FakeDaemon daemon;
  daemon.state.pools["pools/web"].mutable_step()->set_seconds(60);
  constexpr int kNow = 1777636800;
  Ran ran = Run(daemon, {"usage", "push", "web", "--csv", "-", "--overlap", "skip"},
                Csv(150'000, kNow - 150'000));
  CHECK(ran.out == "pools/web: 150000 samples accepted\n");
  CHECK(daemon.state.batch_sizes == std::vector<std::int64_t>{50'000, 100'000});
  CHECK(daemon.state.batch.overlap() == v1::ReportUsageBatchRequest::SKIP);

  daemon.state.errors = {{}, {}, {grpc::StatusCode::UNAVAILABLE, "full", "", "DISK_FULL"}};
  ran = Run(daemon, {"usage", "push", "web", "--csv", "-", "--overlap", "fail"},
            Csv(150'000, kNow - 150'000));
  CHECK(daemon.state.batch.overlap() == v1::ReportUsageBatchRequest::FAIL);
  CHECK(ran.err == "error: UNAVAILABLE: full; those from line 100002 on were accepted\n");

  CHECK(Run(daemon, {"usage", "push", "web", "--value", "1", "--overlap", "skip"}).exit_code == 2);
  CHECK(Run(daemon, {"usage", "push", "web", "--csv", "-", "--overlap", "x"}).exit_code == 2);
}

TEST_CASE("times without a zone are not pushed into a pool that has another zone than UTC") {
  FakeDaemon daemon;
  v1::Pool& pool = daemon.state.pools["pools/web"];
  pool.set_name("pools/web");
  constexpr char kCsv[] = "timestamp,value\n2026-05-01T10:00:00Z,1\n2026-05-01 11:00:00,2\n";
  CHECK(Run(daemon, {"usage", "push", "web", "--csv", "-"}, kCsv).exit_code == 0);
  pool.set_time_zone("Europe/Berlin");
  daemon.state.calls.clear();
  const std::string wanted =
      "a time without a zone, in a pool whose time_zone is Europe/Berlin; wanted one with it, such "
      "as 2026-05-01T09:30:00+02:00 or 2026-05-01T07:30:00Z\n";
  for (const char* command : {"usage", "simulate"}) {
    const bool push = std::string_view(command) == "usage";
    const Ran ran = push ? Run(daemon, {"usage", "push", "web", "--csv", "-"}, kCsv)
                         : Run(daemon, {"simulate", "web", "--csv", "-"}, kCsv);
    CHECK(ran.err == "error: INVALID_ARGUMENT: standard input: line 3: " + wanted);
  }
  const Ran one =
      Run(daemon, {"usage", "push", "web", "--value", "1", "--time", "2026-05-01T11:00:00"});
  CHECK(one.err == "error: INVALID_ARGUMENT: --time: " + wanted);
  CHECK(daemon.state.calls == std::vector<std::string>{"GetPool", "GetPool", "GetPool"});
}

TEST_CASE("decisions are listed, explained and made") {
  FakeDaemon daemon;
  for (int id = 9; id > 4; --id) {
    v1::Decision& decision = daemon.state.decisions.emplace_back();
    decision.set_id(id);
    decision.set_pool("pools/web");
    decision.set_kind(v1::Decision::SIZE);
    decision.set_explanation("because");
  }
  const Json json =
      Json::parse(Run(daemon, {"decisions", "web", "--limit", "3", "-o", "json"}).out);
  CHECK(json["decisions"].size() == 3);
  for (const char* name : {"web", "web/r1", "pools/web/shadowPools/r1"}) {
    CHECK_THAT(Run(daemon, {"why", name}).out,
               Catch::StartsWith("pools/web, SIZE decision 9 at ") && Catch::Contains("because\n"));
  }
  CHECK_THAT(Run(daemon, {"pool", "analyze", "web", "--dry-run"}).out,
             Catch::Contains("forecast: 25%\n") &&
                 Catch::EndsWith("dry run: neither acted on nor recorded\n"));
  CHECK(daemon.state.calls.back() == "AnalyzePoolUsage dry");
  daemon.state.decisions.clear();
  CHECK(Run(daemon, {"why", "web"}).exit_code == 3);
}

TEST_CASE("instances are those of a pool or of a shadow pool") {
  FakeDaemon daemon;
  daemon.state.instances.emplace_back().set_name("pools/web/instances/i1");
  CHECK_THAT(Run(daemon, {"shadow", "instances", "web"}).out, Catch::Contains("\nweb/i1  "));
  Run(daemon, {"shadow", "instances", "web/r1"});
  CHECK(daemon.state.calls == std::vector<std::string>{"ListInstances pools/web",
                                                       "ListInstances pools/web/shadowPools/r1"});
}

TEST_CASE("flags beat the environment, before the command or after it") {
  FakeDaemon daemon;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"status", "--address", daemon.address()},
        {"--address", daemon.address(), "status"}}) {
    const Ran ran = RunCommandLine(arguments, {.input = "", .address = "unix:/nonexistent/s"});
    CHECK(ran.exit_code == 0);
    CHECK_THAT(ran.out, Catch::StartsWith("shadowd 1.2.3, pid 4711, up "));
  }
}

}  // namespace
}  // namespace shadow
