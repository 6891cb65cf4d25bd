// --wait on what does not get better.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

constexpr char kPoolToWaitFor[] = "name: pools/web\ndna: dnas/web\nmanaged_instances: 2\n";

v1::Instance Failed(int number, v1::Instance::Role role) {
  v1::Instance instance;
  instance.set_name("pools/web/instances/i" + std::to_string(number));
  instance.set_role(role);
  instance.set_state(v1::Instance::FAILED);
  instance.mutable_state_time()->set_seconds(1000 + number);
  instance.set_reason("exit status " + std::to_string(number));
  return instance;
}

Ran ApplyAndWait(const FakeDaemon& daemon) {
  return RunCommandLine({"apply", "--wait", "--timeout", "2s", "-f", "-"},
                        {.input = kPoolToWaitFor, .address = daemon.address()});
}

TEST_CASE("waiting for a pool shows why its last base instance failed") {
  FakeDaemon daemon;
  daemon.state.gets_until_settled = 1000;
  daemon.state.instances = {Failed(2, v1::Instance::BASE), Failed(1, v1::Instance::BASE),
                            Failed(9, v1::Instance::SHADOW)};
  const Ran ran = ApplyAndWait(daemon);
  CHECK(ran.exit_code == 6);
  CHECK(ran.err ==
        "pools/web: READY, 0 of 2 base instances serve, 2 failed; last failure: exit status 2\n"
        "error: DEADLINE_EXCEEDED: still not there after 2s (--timeout): pools/web: READY, 0 of 2 "
        "base instances serve, 2 failed; last failure: exit status 2\n");
}

TEST_CASE("waiting gives up when three in a row failed, one of them since, and none serves") {
  FakeDaemon daemon;
  daemon.state.gets_until_settled = 1000;
  daemon.state.instances = {Failed(1, v1::Instance::BASE), Failed(2, v1::Instance::BASE)};
  daemon.state.instances_later = {Failed(3, v1::Instance::BASE)};
  const Ran ran = ApplyAndWait(daemon);
  CHECK(ran.exit_code == 1);
  CHECK_THAT(ran.err, Catch::EndsWith(
                          "error: INTERNAL: gave up after 3 failed instances; shadowd goes on "
                          "trying: pools/web: READY, 0 of 2 base instances serve, 3 failed; last "
                          "failure: exit status 3\n"));
}

TEST_CASE("waiting goes on while one is further, or where all failed before it began") {
  FakeDaemon daemon;
  daemon.state.gets_until_settled = 1000;
  for (int i = 1; i <= 3; ++i) daemon.state.instances.push_back(Failed(i, v1::Instance::BASE));
  CHECK(ApplyAndWait(daemon).exit_code == 6);
  daemon.state.instances_later = {Failed(4, v1::Instance::BASE)};
  daemon.state.instances[0].set_state(v1::Instance::WARMING);
  CHECK(ApplyAndWait(daemon).exit_code == 6);
}

TEST_CASE("waiting for a shadow pool gives up too, with the reason that it has itself") {
  FakeDaemon daemon;
  v1::ShadowPool& shadow = daemon.state.shadows["pools/web/shadowPools/r1"];
  shadow.set_name("pools/web/shadowPools/r1");
  shadow.set_state(v1::ShadowPool::ACTIVATING);
  shadow.set_target_instances(3);
  shadow.set_reconciling(true);
  shadow.set_failure_reason("exit status 7");
  daemon.state.instances = {Failed(1, v1::Instance::SHADOW), Failed(2, v1::Instance::SHADOW)};
  daemon.state.instances_later = {Failed(3, v1::Instance::SHADOW)};
  const Ran ran = RunCommandLine({"shadow", "activate", "web", "--level", "50", "--wait"},
                                 {.input = "", .address = daemon.address()});
  CHECK(ran.exit_code == 1);
  CHECK_THAT(ran.err, Catch::Contains("error: INTERNAL: gave up after 3 failed instances") &&
                          Catch::EndsWith("; last failure: exit status 7\n"));
}

void AddCondition(v1::Pool& pool, const std::string& type, const std::string& message) {
  v1::Condition& condition = *pool.add_conditions();
  condition.set_type(type);
  condition.set_status(v1::Condition::FALSE);
  condition.set_reason("Unavailable");
  condition.set_message(message);
}

TEST_CASE("waiting for a shadow pool shows the neighbour that its instances wait for") {
  FakeDaemon daemon;
  v1::ShadowPool& shadow = daemon.state.shadows["pools/web/shadowPools/r1"];
  shadow.set_name("pools/web/shadowPools/r1");
  shadow.set_state(v1::ShadowPool::ACTIVATING);
  shadow.set_target_instances(2);
  v1::Pool& pool = daemon.state.pools["pools/web"];
  pool.set_name("pools/web");
  AddCondition(pool, "UsageFresh", "no sample since noon");  // A level by hand does not need it.
  const std::vector<std::string> command = {"shadow", "activate", "web",       "--level",
                                            "50",     "--wait",   "--timeout", "1s"};
  const Ran before = RunCommandLine(command, {.input = "", .address = daemon.address()});
  CHECK_THAT(before.err, Catch::EndsWith(": 0 serve, 0 suspended\n"));
  AddCondition(pool, "BalancerReachable", "connect /run/haproxy.sock: No such file or directory");
  const Ran ran = RunCommandLine(command, {.input = "", .address = daemon.address()});
  CHECK(ran.exit_code == 6);
  CHECK_THAT(ran.err, Catch::EndsWith("(--timeout): pools/web/shadowPools/r1: ACTIVATING, level "
                                      "50% of 2: 0 serve, 0 suspended; BalancerReachable: connect "
                                      "/run/haproxy.sock: No such file or directory\n"));
}

}  // namespace
}  // namespace shadow
