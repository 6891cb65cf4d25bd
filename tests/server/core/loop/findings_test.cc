// What a start finds and goes on without.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

// Name and message of each event that the log warns of.
std::vector<std::string> Warnings(const Ready& ready) {
  std::vector<std::string> warnings;
  for (int i = 0; i < ready.batch.events_size(); ++i) {
    if (ready.log_levels[static_cast<size_t>(i)] != LogLevel::kWarning) continue;
    warnings.push_back(ready.batch.events(i).name() + ": " + ready.batch.events(i).message());
  }
  return warnings;
}

TEST_CASE("a saved forecast that cannot be used is dropped and named, by an event and in the log") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  v1::StoreContents contents = simulation.store().Contents();
  contents.clear_forecasters();
  v1::ForecasterRecord& record = *contents.add_forecasters();
  record.set_pool(kPool);
  const bool capacity_is_good = GENERATE(false, true);
  record.set_state("garbage");
  record.set_capacity(capacity_is_good ? simulation.world().pools.at("web").capacity->Save()
                                       : std::string("garbage"));
  ControlLoop loop({});
  REQUIRE(loop.Load(contents, simulation.now()).ok());
  loop.AddFinding("", "metrics.db is missing");
  CHECK(loop.ReplayFrom(kPool) == absl::InfinitePast());
  const Ready ready = loop.Recover(simulation.now());
  const std::vector<std::string> warnings = Warnings(ready);
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0].starts_with("pools/web: its saved forecast cannot be used"));
  CHECK(warnings[1] == ": metrics.db is missing");
  CHECK(Warnings(loop.Tick(simulation.now())).empty());
}

TEST_CASE("an impossible target of a shadow and an impossible state are damage") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  simulation.Run(kLimit);
  v1::StoreContents contents = simulation.store().Contents();
  REQUIRE(contents.shadows_size() == 1);
  REQUIRE(contents.instances_size() == 1);
  SECTION("fewer instances than none") {
    contents.mutable_shadows(0)->mutable_shadow()->set_target_instances(-1);
  }
  SECTION("a level above 100") {
    contents.mutable_shadows(0)->mutable_shadow()->set_target_activation_level(101);
  }
  SECTION("no state") { contents.mutable_instances(0)->mutable_instance()->clear_state(); }
  ControlLoop loop({});
  CHECK(absl::IsDataLoss(loop.Load(contents, simulation.now())));
}

}  // namespace
}  // namespace shadow
