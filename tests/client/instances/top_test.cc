// shadowctl top: one row for each pool, once into a pipe.
#include <grpcpp/support/status_code_enum.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

// A pool with two instances of the base that serve, 50 each.
v1::Pool& AddTopPool(FakeDaemon& daemon, const std::string& name) {
  v1::Pool& pool = daemon.state.pools[name];
  pool.set_name(name);
  pool.set_demand_unit("requests/s");
  pool.set_dna_revision("dnas/web@r2");
  pool.set_serving_base_instances(2);
  pool.set_instance_capacity(50);
  return pool;
}

void AddTopShadow(FakeDaemon& daemon, const std::string& name, const std::string& revision,
                  int level) {
  v1::ShadowPool& shadow = daemon.state.shadows[name];
  shadow.set_name(name);
  shadow.set_dna_revision(revision);
  shadow.set_target_instances(4);
  shadow.set_serving_instances(1);
  shadow.set_suspended_instances(2);
  shadow.set_target_activation_level(level);
}

TEST_CASE("top sums a pool's shadow pools and shows demand, forecast and what is wrong") {
  FakeDaemon daemon;
  AddTopPool(daemon, "pools/web");
  AddTopShadow(daemon, "pools/web/shadowPools/r1", "dnas/web@r1", 75);
  AddTopShadow(daemon, "pools/web/shadowPools/r2", "dnas/web@r2", 25);
  daemon.state.forecast.add_history()->set_value(80);
  daemon.state.forecast.add_points()->add_values(90);
  daemon.state.forecast.add_points()->add_values(120);
  daemon.state.forecast.add_points()->add_values(100);
  const Ran ran = Run(daemon, {"top"});
  INFO(ran.out << ran.err);
  CHECK(ran.exit_code == 0);
  const std::vector<std::string> lines = absl::StrSplit(ran.out, '\n');
  REQUIRE(lines.size() == 3);
  CHECK_THAT(lines[0], Catch::StartsWith("NAME  DEMAND  P95 SOON  UNIT "));
  // 2 + 2 serve, so 200 are carried; 3 + 3 of 4 + 4 are ready. The level is that of the DNA in use.
  const std::vector<std::string> cells = absl::StrSplit(lines[1], ' ', absl::SkipEmpty());
  CHECK(cells == std::vector<std::string>{"web", "80", "120", "requests/s", "4", "200", "6/8",
                                          "ready", "25%", "-"});
  CHECK(ran.out.find('\x1b') == std::string::npos);
}

TEST_CASE("top has a row where no forecast can be had, and none for another pool") {
  FakeDaemon daemon;
  AddTopPool(daemon, "pools/db").set_serving_base_instances(0);
  AddTopPool(daemon, "pools/web");
  v1::Condition& condition = *daemon.state.pools["pools/web"].add_conditions();
  condition.set_type("UsageFresh");
  condition.set_status(v1::Condition::FALSE);
  condition.set_reason("Stale");
  condition.set_message("no sample since noon");
  daemon.state.errors.resize(2);  // GetPool and ListShadowPools succeed.
  daemon.state.errors.push_back({.code = grpc::StatusCode::FAILED_PRECONDITION,
                                 .message = "less than two days of history",
                                 .field = "",
                                 .reason = ""});
  const Ran ran = Run(daemon, {"top", "web"});
  INFO(ran.out << ran.err);
  CHECK(ran.exit_code == 0);
  CHECK_THAT(ran.out, Catch::Contains("\nweb ") && !Catch::Contains("\ndb ") &&
                          Catch::Contains("UsageFresh: Stale\n"));
}

TEST_CASE("top of a pool that is not there, and of a daemon that is away, is an error") {
  const FakeDaemon daemon;
  Ran ran = Run(daemon, {"top", "web"});
  CHECK(ran.exit_code == 3);
  CHECK_THAT(ran.err, Catch::StartsWith("error: NOT_FOUND: name: pools/web is not there"));
  ran = RunCommandLine({"top"}, {.address = "unix:/nonexistent/s"});
  CHECK(ran.exit_code == 6);
  CHECK_THAT(ran.err, Catch::StartsWith("error: UNAVAILABLE: unix:/nonexistent/s: "));
  CHECK(ran.out.empty());
}

TEST_CASE("top on a terminal draws over itself until the daemon says that it cannot be") {
  FakeDaemon daemon;
  AddTopPool(daemon, "pools/web");
  daemon.state.errors.push_back({.code = grpc::StatusCode::UNAVAILABLE,
                                 .message = "away for a moment",
                                 .field = "",
                                 .reason = "AWAY"});
  daemon.state.errors.resize(4);  // One look in full: pools, shadow pools, forecast.
  daemon.state.errors.push_back({.code = grpc::StatusCode::PERMISSION_DENIED,
                                 .message = "not for you",
                                 .field = "",
                                 .reason = ""});
  const Ran ran = RunCommandLine({"top"}, {.address = daemon.address(), .terminal = true});
  INFO(ran.out << ran.err);
  CHECK_THAT(ran.err, Catch::StartsWith("error: PERMISSION_DENIED: not for you"));
  CHECK(ran.exit_code != 0);
  const std::size_t away = ran.out.find("away for a moment");
  const std::size_t row = ran.out.find("\nweb ");
  REQUIRE(away != std::string::npos);
  REQUIRE(row != std::string::npos);
  CHECK(away < row);
  CHECK_THAT(ran.out, Catch::StartsWith("\x1b[H\x1b[2J\x1b[3J2026-05-01T12:00:00Z, every 2s\n"));
}

}  // namespace
}  // namespace shadow
