// What would change, field by field, and whom that replaces.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "client/formats/field_changes.h"
#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

constexpr char kBeforeText[] =
    "name: dnas/web\nprocess: {argv: [/bin/web]}\n---\n"
    "name: pools/web\ndna: dnas/web\nmanaged_instances: 2\npolicy: {headroom: 1.1}\n";

void FillDiffed(FakeDaemon& daemon) {
  Run(daemon, {"apply", "-f", "-"}, kBeforeText);
  const struct {
    const char* name;
    const char* revision;
    v1::Instance::State state;
  } rows[] = {
      {"pools/web/instances/i1", "dnas/web@000000000001", v1::Instance::ACTIVE},
      {"pools/web/shadowPools/r1/instances/i2", "dnas/web@000000000001", v1::Instance::SUSPENDED},
      {"pools/web/instances/i3", "dnas/web@000000000002", v1::Instance::ACTIVE},
      {"pools/web/instances/i4", "dnas/web@000000000001", v1::Instance::DELETING}};
  for (const auto& row : rows) {
    v1::Instance& instance = daemon.state.instances.emplace_back();
    instance.set_name(row.name);
    instance.set_dna_revision(row.revision);
    instance.set_state(row.state);
  }
  daemon.state.calls.clear();
}

TEST_CASE("diff says that nothing would change, with exit code 0") {
  FakeDaemon daemon;
  FillDiffed(daemon);
  const Ran ran = Run(daemon, {"diff", "-f", "-"}, kBeforeText);
  CHECK(ran.exit_code == 0);
  CHECK(ran.out == "dnas/web would not change\npools/web would not change\n");
  CHECK(ran.err.empty());
}

TEST_CASE("diff says which fields would change and which instances that replaces") {
  FakeDaemon daemon;
  FillDiffed(daemon);
  const std::string after =
      "name: dnas/web\nprocess: {argv: [/bin/web, -v], environment: {A: 1}}\n---\n"
      "name: pools/web\ndna: dnas/web\nmanaged_instances: 3\npolicy: {look_ahead: 90s}\n---\n"
      "name: pools/api\ndna: dnas/web\n";
  const Ran ran = Run(daemon, {"diff", "-f", "-"}, after);
  CHECK(ran.exit_code == 1);
  CHECK(ran.err.empty());
  CHECK(ran.out ==
        "dnas/web would change\n"
        "  + process.argv[1]: \"-v\"\n"
        "  + process.environment.A: \"1\"\n"
        "  replaces 2 instances of pools/web: web/i1, web/r1/i2\n"
        "pools/web would change\n"
        "  ~ managed_instances: 2 -> 3\n"
        "  - policy.headroom: 1.1\n"
        "  + policy.look_ahead: 1m30s\n"
        "pools/api would be created\n"
        "  + name: pools/api\n"
        "  + dna: dnas/web\n");
  CHECK(daemon.state.pools.at("pools/web").managed_instances() == 2);
  CHECK_FALSE(daemon.state.pools.contains("pools/api"));
  for (const std::string& call : daemon.state.calls) {
    if (call.starts_with("Update")) CHECK(call.ends_with(" dry"));
  }
  // A dry run of apply says the same, and succeeds.
  const Ran dry = Run(daemon, {"apply", "--dry-run", "-f", "-"}, after);
  CHECK(dry.exit_code == 0);
  CHECK_THAT(dry.out,
             Catch::Contains("dnas/web configured (dry run: nothing was changed)\n"
                             "  + process.argv[1]: \"-v\"\n") &&
                 Catch::Contains("  replaces 2 instances of pools/web: web/i1, web/r1/i2\n") &&
                 Catch::Contains("  ~ managed_instances: 2 -> 3\n") &&
                 Catch::EndsWith("pools/api created (dry run: nothing was changed)\n"));
}

TEST_CASE("a pinned pool is replaced by a new pin alone") {
  FakeDaemon daemon;
  FillDiffed(daemon);
  v1::Pool& pool = daemon.state.pools.at("pools/web");
  pool.set_dna("dnas/web@000000000001");
  pool.set_dna_revision("dnas/web@000000000001");
  CHECK(Run(daemon, {"diff", "-f", "-"}, "name: dnas/web\nprocess: {argv: [/bin/web, -v]}\n").out ==
        "dnas/web would change\n  + process.argv[1]: \"-v\"\n");
  const Ran moved = Run(daemon, {"diff", "-f", "-"},
                        "name: pools/web\ndna: dnas/web@000000000002\nmanaged_instances: 2\n"
                        "policy: {headroom: 1.1}\ndna_revision: dnas/web@000000000002\n");
  CHECK(moved.out ==
        "pools/web would change\n"
        "  ~ dna: dnas/web@000000000001 -> dnas/web@000000000002\n"
        "  replaces 2 instances of pools/web: web/i1, web/r1/i2\n");
}

TEST_CASE("an error of diff is an error, with its own exit code") {
  FakeDaemon daemon;
  daemon.state.dnas_must_be_there = true;
  CHECK(Run(daemon, {"diff", "-f", "-"}, "name: pools/x\ndna: dnas/y\n").exit_code == 3);
  CHECK(Run(daemon, {"diff", "-f", "-", "-o", "json"}, "name: dnas/y\n").exit_code == 2);
}

TEST_CASE("lists, nested messages and empty messages are compared by their place") {
  v1::Pool before;
  before.add_season_lengths()->set_seconds(60);
  before.add_demand_events()->set_multiplier(2);
  before.mutable_balancer()->mutable_none();
  v1::Pool after = before;
  CHECK(FieldChanges(before, after).empty());
  after.mutable_season_lengths(0)->set_seconds(3600);
  after.mutable_demand_events(0)->set_demand(7.5);
  after.mutable_balancer()->mutable_haproxy()->set_backend("web");
  CHECK(FieldChanges(before, after) ==
        "- balancer.none: {}\n"
        "~ season_lengths[0]: 1m -> 1h\n"
        "- demand_events[0].multiplier: 2\n"
        "+ balancer.haproxy.backend: web\n"
        "+ demand_events[0].demand: 7.5\n");
}

}  // namespace
}  // namespace shadow
