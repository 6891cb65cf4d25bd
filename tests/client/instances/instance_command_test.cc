// shadowctl instance ... and logs: what is sent, what is shown, and the errors that name a fault.
#include <grpcpp/support/status_code_enum.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

constexpr char kBaseName[] = "pools/web/instances/i1";
constexpr char kShadowName[] = "pools/web/shadowPools/r1/instances/i2";

// One ACTIVE instance of the base, one of its shadow pool.
void AddTwoInstances(FakeDaemon& daemon) {
  for (const char* name : {kBaseName, kShadowName}) {
    v1::Instance& instance = daemon.state.instances.emplace_back();
    instance.set_name(name);
    instance.set_state(v1::Instance::ACTIVE);
  }
}

void AddLog(FakeDaemon& daemon, const std::string& data, const std::string& writer = "",
            bool gap = false) {
  v1::InstanceLogChunk& chunk = daemon.state.logs[kBaseName].emplace_back();
  chunk.set_data(data);
  chunk.set_name(writer);
  chunk.set_gap(gap);
}

TEST_CASE("an instance is meant by its full name, by that of tables, and by its id in the pool") {
  const struct {
    const char* typed;
    const char* name;
  } table[] = {{kBaseName, kBaseName},
               {"web/i1", kBaseName},
               {kShadowName, kShadowName},
               {"web/r1/i2", kShadowName},
               {"web/i2", kShadowName}};
  for (const auto& row : table) {
    FakeDaemon daemon;
    AddTwoInstances(daemon);
    const Ran ran = Run(daemon, {"instance", "get", row.typed, "-o", "name"});
    INFO(row.typed << ": " << ran.err);
    CHECK(ran.exit_code == 0);
    CHECK(ran.out == std::string(row.name) + "\n");
  }
}

TEST_CASE("an instance that is not there is an error with the name that was looked for") {
  const std::vector<std::vector<std::string>> commands = {{"instance", "get"},
                                                          {"instance", "restart"},
                                                          {"instance", "cordon"},
                                                          {"instance", "uncordon"},
                                                          {"logs"}};
  for (std::vector<std::string> command : commands) {
    FakeDaemon daemon;
    AddTwoInstances(daemon);
    command.push_back("web/i9");
    const Ran ran = Run(daemon, command);
    INFO(command[0] << " " << command[1] << ": " << ran.err);
    CHECK(ran.exit_code == 3);
    CHECK(ran.out.empty());
    CHECK_THAT(ran.err, Catch::StartsWith("error: NOT_FOUND: ") &&
                            Catch::Contains("pools/web/instances/i9"));
    for (const v1::Instance& instance : daemon.state.instances) {
      CHECK_FALSE((instance.restarting() || instance.cordoned()));
    }
  }
}

TEST_CASE("instances are restarted, cordoned and uncordoned, and each answer says so") {
  FakeDaemon daemon;
  AddTwoInstances(daemon);
  Ran ran = Run(daemon, {"instance", "cordon", "web/i1", "--request-id", "once"});
  CHECK(ran.out == std::string(kBaseName) + " cordoned\n");
  CHECK(daemon.state.calls.back() == "CordonInstance once");
  CHECK(daemon.state.instances[0].cordoned());
  CHECK_FALSE(daemon.state.instances[1].cordoned());
  ran = Run(daemon, {"instance", "uncordon", "web/i1"});
  CHECK(ran.out == std::string(kBaseName) + " uncordoned\n");
  CHECK_FALSE(daemon.state.instances[0].cordoned());
  ran = Run(daemon, {"instance", "restart", "web/r1/i2"});
  CHECK(ran.out == std::string(kShadowName) + " is being restarted: another one takes its place\n");
  CHECK(daemon.state.instances[1].restarting());
}

TEST_CASE("a dry run changes no instance, and does not wait for one") {
  FakeDaemon daemon;
  AddTwoInstances(daemon);
  for (const char* verb : {"restart", "cordon", "uncordon"}) {
    std::vector<std::string> command = {"instance", verb, "web/i1", "--dry-run"};
    if (command[1] == "restart") command.emplace_back("--wait");
    const Ran ran = Run(daemon, command);
    INFO(verb << ": " << ran.err);
    CHECK(ran.exit_code == 0);
    CHECK_THAT(ran.out, Catch::Contains("(dry run: nothing was changed)"));
    CHECK_THAT(daemon.state.calls.back(), Catch::EndsWith(" dry"));
    CHECK_FALSE((daemon.state.instances[0].restarting() || daemon.state.instances[0].cordoned()));
  }
}

TEST_CASE("the wait for a restart says what it waits for, and ends when the instance is gone") {
  FakeDaemon daemon;
  AddTwoInstances(daemon);
  daemon.state.gets_until_settled = 3;
  const Ran ran = Run(daemon, {"instance", "restart", "web/i1", "--wait"});
  CHECK(ran.exit_code == 0);
  CHECK(ran.out == std::string(kBaseName) + " restarted\n");
  CHECK_THAT(ran.err, Catch::Contains(std::string(kBaseName) + " is ACTIVE"));
  CHECK(daemon.state.instances.size() == 1);

  FakeDaemon stuck;  // Nothing takes its place.
  AddTwoInstances(stuck);
  const Ran late = Run(stuck, {"instance", "restart", "web/i1", "--wait", "--timeout", "5s"});
  CHECK(late.exit_code != 0);
  CHECK(late.out.empty());
  CHECK_THAT(late.err, Catch::Contains("DEADLINE_EXCEEDED") && Catch::Contains(kBaseName));
}

TEST_CASE("a state that forbids a change is the daemon's to say, and is printed as it is") {
  FakeDaemon daemon;
  AddTwoInstances(daemon);
  daemon.state.errors.push_back({});  // ListInstances succeeds.
  daemon.state.errors.push_back({.code = grpc::StatusCode::FAILED_PRECONDITION,
                                 .message = std::string(kBaseName) + " is FAILED",
                                 .field = "",
                                 .reason = ""});
  const Ran ran = Run(daemon, {"instance", "cordon", "web/i1"});
  CHECK(ran.exit_code != 0);
  CHECK_THAT(ran.err, Catch::StartsWith("error: FAILED_PRECONDITION: " + std::string(kBaseName) +
                                        " is FAILED"));
}

TEST_CASE("flags of a log are sent as they were given, and unset ones stay unset") {
  FakeDaemon daemon;
  AddTwoInstances(daemon);
  AddLog(daemon, "one\n");
  CHECK(Run(daemon, {"logs", "web/i1"}).out == "one\n");
  CHECK(daemon.state.stream_log.name() == kBaseName);
  CHECK_FALSE(daemon.state.stream_log.follow());
  CHECK_FALSE(daemon.state.stream_log.previous());
  CHECK_FALSE(daemon.state.stream_log.has_tail_lines());
  CHECK(Run(daemon, {"logs", "web/i1", "-f", "--tail", "0"}).exit_code == 0);
  CHECK(daemon.state.stream_log.follow());
  CHECK(daemon.state.stream_log.has_tail_lines());
  CHECK(daemon.state.stream_log.tail_lines() == 0);
  CHECK(Run(daemon, {"logs", "web/i1", "--previous"}).exit_code == 0);
  CHECK(daemon.state.stream_log.previous());
}

TEST_CASE("flags of a log that are wrong are named before a daemon is asked") {
  const struct {
    std::vector<std::string> arguments;
    const char* error;
  } table[] = {
      {{"logs"}, "error: INVALID_ARGUMENT: INSTANCE is required\n"},
      {{"logs", "web/i1", "--tail", "many"},
       "error: INVALID_ARGUMENT: --tail: wanted a whole number, found \"many\"\n"},
      {{"logs", "web/i1", "--tail", "-3"},
       "error: INVALID_ARGUMENT: --tail: Value -3 not in range 0 to 2147483647\n"},
      {{"logs", "web/i1", "-f", "--previous"},
       "error: INVALID_ARGUMENT: --follow: with --previous there is nothing to follow: it has "
       "ended\n"},
      {{"instance", "cordon", "web/i1", "--wait"},
       "error: INVALID_ARGUMENT: --wait: means nothing to `shadowctl instance cordon`\n"},
  };
  for (const auto& row : table) {
    FakeDaemon daemon;
    AddTwoInstances(daemon);
    const Ran ran = Run(daemon, row.arguments);
    INFO(ran.err);
    CHECK(ran.exit_code == 2);
    CHECK(ran.out.empty());
    CHECK_THAT(ran.err, Catch::StartsWith(row.error));
    CHECK(daemon.state.calls.empty());
  }
}

TEST_CASE("a log goes into a pipe byte by byte, and cannot steer a terminal") {
  FakeDaemon daemon;
  AddTwoInstances(daemon);
  AddLog(daemon, std::string("red \x1b[31m\0 \xff\nha", 15));
  AddLog(daemon, "lf\nno end");
  CHECK(Run(daemon, {"logs", "web/i1"}).out ==
        std::string("red \x1b[31m\0 \xff\nha", 15) + "lf\nno end");
  const Ran ran =
      RunCommandLine({"logs", "web/i1"}, {.address = daemon.address(), .terminal = true});
  CHECK(ran.out.find('\x1b') == std::string::npos);
  CHECK(ran.out.find('\xff') == std::string::npos);
  CHECK_THAT(ran.out, Catch::StartsWith("red ") && Catch::EndsWith("\nhalf\nno end\n"));
}

TEST_CASE("a log of another instance and a gap are told beside it, not within it") {
  FakeDaemon daemon;
  AddTwoInstances(daemon);
  AddLog(daemon, "first\n", "pools/web/instances/i0");
  AddLog(daemon, "second\n", "", /*gap=*/true);
  const Ran ran = Run(daemon, {"logs", "web/i1", "--previous"});
  CHECK(ran.out == "first\nsecond\n");
  CHECK(ran.err ==
        "of pools/web/instances/i0, which has ended\n"
        "a part is missing: the log was shortened\n");
}

}  // namespace
}  // namespace shadow
