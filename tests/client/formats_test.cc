// -o yaml, wide, name and jsonpath, and what goes out and in again.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "client/formats/json_path.h"
#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

// A DNA and a pool as the daemon gives them, with what it adds.
void FillFormats(FakeDaemon& daemon) {
  Run(daemon, {"apply", "-f", "-"},
      "name: dnas/web\nprocess: {argv: [/bin/web, \"8\"], environment: {A: \"yes\"}}\n---\n"
      "name: pools/web\ndna: dnas/web\nmanaged_instances: 2\ninstance_capacity: 12.5\n"
      "policy: {mode: AUTOMATIC, service_level: 0.95, look_ahead: 90s}\n");
  v1::Pool& pool = daemon.state.pools.at("pools/web");
  pool.mutable_create_time()->set_seconds(1777636800);
  v1::Condition& condition = *pool.add_conditions();
  condition.set_type("Ready");
  condition.set_status(v1::Condition::FALSE);
  condition.set_message("exit 1: \"no such file\"");
  daemon.state.pools["pools/api"].set_name("pools/api");
  daemon.state.calls.clear();
}

TEST_CASE("what get writes as YAML changes nothing when it is applied") {
  FakeDaemon daemon;
  FillFormats(daemon);
  const std::string etag = daemon.state.pools.at("pools/web").etag();
  for (const char* kind : {"dna", "pool"}) {
    const Ran got = Run(daemon, {kind, "get", "web", "-o", "yaml"});
    INFO(got.out << got.err);
    CHECK(got.exit_code == 0);
    const Ran applied = Run(daemon, {"apply", "-f", "-"}, got.out);
    INFO(applied.err);
    CHECK(applied.out == std::string(kind) + "s/web unchanged\n");
  }
  const v1::Pool& pool = daemon.state.pools.at("pools/web");
  CHECK(pool.etag() == etag);
  CHECK(pool.policy().service_level() == 0.95);
  CHECK(pool.policy().look_ahead().seconds() == 90);
  CHECK(daemon.state.dnas.at("dnas/web").process().environment().at("A") == "yes");
}

TEST_CASE("an export has the specs of everything, and changes nothing when it is applied") {
  FakeDaemon daemon;
  FillFormats(daemon);
  const Ran exported = Run(daemon, {"export"});
  INFO(exported.err);
  CHECK(exported.out ==
        "---\n"
        "name: dnas/web\n"
        "process:\n"
        "  argv:\n"
        "    - /bin/web\n"
        "    - \"8\"\n"
        "  environment:\n"
        "    A: \"yes\"\n"
        "---\n"
        "name: pools/api\n"
        "---\n"
        "name: pools/web\n"
        "dna: dnas/web\n"
        "managed_instances: 2\n"
        "instance_capacity: 12.5\n"
        "policy:\n"
        "  mode: AUTOMATIC\n"
        "  service_level: 0.95\n"
        "  look_ahead: 1m30s\n");
  const std::string json = Run(daemon, {"export", "-o", "json"}).out;
  CHECK_THAT(json, Catch::StartsWith("---\n{\n  \"name\": \"dnas/web\","));
  FakeDaemon empty;
  CHECK(Run(empty, {"apply", "-f", "-"}, exported.out).exit_code == 0);
  CHECK(Run(empty, {"export"}).out == exported.out);
  CHECK(Run(empty, {"apply", "-f", "-"}, exported.out).out ==
        "dnas/web unchanged\npools/api unchanged\npools/web unchanged\n");
  CHECK(Run(empty, {"apply", "-f", "-"}, json).out ==
        "dnas/web unchanged\npools/api unchanged\npools/web unchanged\n");

  empty.state.pools["pools/web"].set_dna("dnas/web@0123456789ab");
  CHECK_THAT(Run(empty, {"export"}).err,
             Catch::StartsWith("pools/web is pinned to dnas/web@0123456789ab, which is not"));
}

TEST_CASE("a list is a YAML document for each resource, and a name for each") {
  FakeDaemon daemon;
  FillFormats(daemon);
  const std::string yaml = Run(daemon, {"pool", "list", "-o", "yaml"}).out;
  CHECK_THAT(yaml, Catch::StartsWith("name: pools/api\n---\nname: pools/web\n") &&
                       Catch::Contains("\nconditions:\n  - type: Ready\n    status: \"FALSE\"\n"));
  CHECK(Run(daemon, {"pool", "list", "-o", "name"}).out == "pools/api\npools/web\n");
  CHECK(Run(daemon, {"apply", "-f", "-", "-o", "name"}, "name: dnas/x\n").out == "dnas/x\n");
}

TEST_CASE("a wide table has more columns") {
  FakeDaemon daemon;
  FillFormats(daemon);
  CHECK_THAT(Run(daemon, {"pool", "list"}).out, !Catch::Contains("  DNA  "));
  CHECK_THAT(Run(daemon, {"pool", "list", "-o", "wide"}).out, Catch::Contains("  DNA  "));
}

TEST_CASE("jsonpath takes values, lists, ranges and texts out of a resource") {
  FakeDaemon daemon;
  FillFormats(daemon);
  const auto get = [&](const std::string& path, const char* verb = "get") {
    std::vector<std::string> arguments = {"pool", verb};
    if (std::string(verb) == "get") arguments.emplace_back("web");
    arguments.insert(arguments.end(), {"-o", "jsonpath=" + path});
    const Ran ran = Run(daemon, arguments);
    INFO(ran.err);
    CHECK(ran.exit_code == 0);
    return ran.out;
  };
  CHECK(get("{.name}") == "pools/web");
  CHECK(get(".policy.mode") == "AUTOMATIC");
  CHECK(get("{$.instanceCapacity}{\"\\n\"}") == "12.5\n");
  CHECK(get("{.conditions[0]['type']} is {.conditions[-1].status}") == "Ready is FALSE");
  CHECK(get("<{.conditions[3].type}{.absent.field}>") == "<>");
  CHECK(get("{.items[*].name}", "list") == "pools/api pools/web");
  CHECK(get("{range .pools[*]}{.name}={.managedInstances}{\"\\n\"}{end}.", "list") ==
        "pools/api=\npools/web=2\n.");
  CHECK(get("{range .items[*]}{range .conditions[*]}{.type};{end}{end}", "list") == "Ready;");
}

TEST_CASE("a template that is none is an error of usage") {
  for (const char* bad : {"", "{.name", "{name}", "{.a[}", "{.a[x]}", "{range .a}", "{end}",
                          "{..name}", "{.a[?(@.b==1)]}"}) {
    const Ran ran = RunCommandLine({"pool", "list", "-o", std::string("jsonpath=") + bad},
                                   {.input = "", .address = "unix:/nonexistent/s"});
    INFO(bad << ": " << ran.err);
    CHECK(ran.exit_code == 2);
    CHECK_THAT(ran.err, Catch::StartsWith("error: INVALID_ARGUMENT: --output: jsonpath: "));
  }
  const Ran watched = RunCommandLine({"pool", "list", "--watch", "-o", "yaml"},
                                     {.input = "", .address = "unix:/nonexistent/s"});
  CHECK(watched.err == "error: INVALID_ARGUMENT: --watch: goes with tables and -o json\n");
  CHECK(RunCommandLine({"forecast", "web", "-o", "yaml"},
                       {.input = "", .address = "unix:/nonexistent/s"})
            .exit_code == 2);
}

}  // namespace
}  // namespace shadow
