// shadowctl describe, over real gRPC.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "client/formats/spec.h"
#include "client/formats/yaml_text.h"
#include "client/input/manifest.h"
#include "client/proto_time.h"
#include "tests/client/fake_daemon.h"
#include "tests/client/run_shadowctl.h"

namespace shadow {
namespace {

constexpr std::int64_t kDescribedAt = 1777636800;  // As of run_shadowctl.h.

v1::Instance& AddDescribedInstance(FakeDaemon& daemon, const std::string& name,
                                   v1::Instance::State state) {
  v1::Instance& instance = daemon.state.instances.emplace_back();
  instance.set_name(name);
  instance.set_role(v1::Instance::SHADOW);
  instance.set_state(state);
  return instance;
}

// pools/web with a base on its way, a shadow pool, a failed instance, an event and a sale ahead.
void FillDescribed(FakeDaemon& daemon) {
  v1::Pool& pool = daemon.state.pools["pools/web"];
  pool.set_name("pools/web");
  pool.set_dna("dnas/web");
  pool.set_dna_revision("dnas/web@0123456789ab");
  pool.set_state(v1::Pool::READY);
  pool.set_reconciling(true);
  pool.set_managed_instances(2);
  pool.set_serving_base_instances(1);
  pool.set_instance_capacity(40);
  pool.set_demand_unit("requests/s");
  pool.mutable_policy()->mutable_look_ahead()->set_seconds(5400);
  pool.mutable_create_time()->set_seconds(kDescribedAt - 7200);
  v1::DemandEvent& sale = *pool.add_demand_events();
  sale.set_description("sale");
  sale.mutable_start_time()->set_seconds(kDescribedAt + 3 * 86400);
  sale.set_multiplier(2);
  v1::Condition& fresh = *pool.add_conditions();
  fresh.set_type("UsageFresh");
  fresh.set_status(v1::Condition::TRUE);
  fresh.set_reason("Fresh");
  fresh.mutable_since_time()->set_seconds(kDescribedAt - 60);

  v1::ShadowPool& shadow = daemon.state.shadows["pools/web/shadowPools/r1"];
  shadow.set_name("pools/web/shadowPools/r1");
  shadow.set_state(v1::ShadowPool::SUSPENDED);
  shadow.set_target_instances(1);
  shadow.set_suspended_instances(1);
  shadow.mutable_hold_until_time()->set_seconds(kDescribedAt + 1500);

  AddDescribedInstance(daemon, "pools/web/shadowPools/r1/instances/i1", v1::Instance::SUSPENDED);
  v1::Instance& failed =
      AddDescribedInstance(daemon, "pools/web/instances/i2", v1::Instance::FAILED);
  failed.set_reason("exit 1");
  failed.mutable_state_time()->set_seconds(kDescribedAt - 300);

  v1::Event& event = daemon.state.events.emplace_back();
  event.set_revision(9);
  event.set_kind(v1::Event::UPDATED);
  event.set_name("pools/web");
  event.set_message("managed_instances: 1 -> 2");
  event.mutable_time()->set_seconds(kDescribedAt - 120);
}

TEST_CASE("a pool is described by spec, conditions, last failure, events and next changes") {
  FakeDaemon daemon;
  FillDescribed(daemon);
  daemon.state.forecast.set_trust(v1::TRUSTED);
  v1::Forecast::Point& point = *daemon.state.forecast.add_points();
  point.mutable_time()->set_seconds(kDescribedAt + 2400);
  point.add_values(150);
  const Ran ran = Run(daemon, {"describe", "pool", "web"});
  INFO(ran.err);
  CHECK(ran.exit_code == 0);
  CHECK(ran.out ==
        "Name:          pools/web\n"
        "State:         READY, reconciling\n"
        "DNA:           dnas/web@0123456789ab\n"
        "Base:          1 of 2 instances serve\n"
        "Instances:     1 SUSPENDED, 1 FAILED\n"
        "Created:       2h ago\n"
        "Last failure:  web/i2, 5m ago: exit 1\n"
        "Spec:\n"
        "  dna: dnas/web\n"
        "  demand_unit: requests/s\n"
        "  managed_instances: 2\n"
        "  instance_capacity: 40\n"
        "  policy:\n"
        "    look_ahead: 1h30m\n"
        "  demand_events:\n"
        "    - description: sale\n"
        "      start_time: \"2026-05-04T12:00:00Z\"\n"
        "      multiplier: 2\n"
        "Shadow pools:\n"
        "  web/r1: SUSPENDED, 1 of 1 ready, 0 serve, level 0%\n"
        "Conditions:\n"
        "  TYPE        STATUS  SINCE  REASON  MESSAGE\n"
        "  UsageFresh  TRUE    1m     Fresh   -\n"
        "Next changes:\n"
        "  now: the base is on its way: 1 of 2 instances serve\n"
        "  in 25m: the hold of web/r1 ends; the daemon decides again\n"
        "  in 40m: the forecast passes the 120 requests/s that are ready: 150 at quantile 0.99\n"
        "  in 3d: demand event \"sale\" begins: demand x 2\n"
        "Events:\n"
        "  AGE  KIND     NAME  MESSAGE\n"
        "  2m   UPDATED  web   managed_instances: 1 -> 2\n");
}

TEST_CASE("a shadow pool, an instance and a DNA are described too") {
  FakeDaemon daemon;
  FillDescribed(daemon);
  daemon.state.dnas["dnas/web"].set_name("dnas/web");
  daemon.state.dnas["dnas/web"].mutable_process()->add_argv("/bin/web");
  const Ran shadow = Run(daemon, {"describe", "shadow", "web"});
  CHECK_THAT(shadow.out, Catch::StartsWith("Name:          pools/web/shadowPools/r1\n") &&
                             Catch::Contains("\n  target_instances: 1\n") &&
                             Catch::Contains("\n  in 25m: the hold of web/r1 ends") &&
                             Catch::Contains("\n  UsageFresh  TRUE "));
  for (const char* name : {"web/r1/i1", "web/i1", "pools/web/shadowPools/r1/instances/i1"}) {
    const Ran instance = Run(daemon, {"describe", "instance", name});
    INFO(instance.err);
    CHECK_THAT(instance.out, Catch::Contains("shadowPools/r1/instances/i1\n") &&
                                 Catch::Contains("SUSPENDED\n") &&
                                 Catch::Contains("\nLast failure:  none is known\n"));
  }
  CHECK(Run(daemon, {"describe", "instance", "web/r1/i9"}).err ==
        "error: NOT_FOUND: name: pools/web has no instance \"web/r1/i9\"; did you mean "
        "\"web/r1/i1\"?\n");
  const Ran dna = Run(daemon, {"describe", "dna", "web"});
  CHECK_THAT(dna.out, Catch::StartsWith("Name:   dnas/web\nPools:  web\n") &&
                          Catch::Contains("Spec:\n  process:\n    argv:\n      - /bin/web\n"));
}

TEST_CASE("what is not there is said, not left out") {
  FakeDaemon daemon;
  daemon.state.pools["pools/api"].set_name("pools/api");
  CHECK_THAT(Run(daemon, {"describe", "pool", "api"}).out,
             Catch::Contains("Last failure:  none is known\n") &&
                 Catch::Contains("Shadow pools:  none\n") &&
                 Catch::Contains("Conditions:  none\n") &&
                 Catch::Contains("Next changes:  none\n") && Catch::EndsWith("Events:  none\n"));
  CHECK(Run(daemon, {"describe", "pool", "gone"}).exit_code == 3);
}

TEST_CASE("a spec is a resource without its output-only fields, and reads back as it was") {
  FakeDaemon daemon;
  FillDescribed(daemon);
  v1::Pool pool = daemon.state.pools["pools/web"];
  pool.set_time_zone("no");  // Would be false in YAML, if it were not quoted.
  pool.mutable_policy()->set_headroom(1.1);
  pool.mutable_balancer()->mutable_none();
  pool.add_season_lengths()->set_seconds(3600);
  pool.add_season_lengths()->set_nanos(1'500'000);
  const v1::Pool spec = SpecOf(pool);
  CHECK(spec.state() == v1::Pool::STATE_UNSPECIFIED);
  CHECK_FALSE(spec.has_create_time());
  CHECK(spec.conditions().empty());
  CHECK(spec.managed_instances() == 2);
  const auto read = ParseManifests(YamlText(spec), "test", ManifestKind::kPool);
  INFO(read.status());
  REQUIRE(read.ok());
  CHECK(std::get<v1::Pool>(read->front()).DebugString() == spec.DebugString());
}

TEST_CASE("a map, and texts that YAML would take for something else, are read back as they were") {
  v1::Dna dna;
  dna.set_name("dnas/web");
  auto& environment = *dna.mutable_process()->mutable_environment();
  environment["A"] = "null";
  environment["B"] = "a: \"b\" # \x7F\n";
  environment["C"] = "";
  environment["true"] = "1e3";
  dna.mutable_process()->add_argv("- x");
  dna.mutable_resources()->set_memory_max_bytes(std::int64_t{1} << 40);
  dna.add_software()->set_name("python3");
  dna.add_software();
  const auto read = ParseManifests(YamlText(dna), "test", ManifestKind::kDna);
  INFO(read.status());
  REQUIRE(read.ok());
  const v1::Dna& back = std::get<v1::Dna>(read->front());
  CHECK(back.process().environment().at("B") == "a: \"b\" # \x7F\n");
  CHECK(YamlText(back) == YamlText(dna));
  CHECK(back.software_size() == 2);
}

}  // namespace
}  // namespace shadow
