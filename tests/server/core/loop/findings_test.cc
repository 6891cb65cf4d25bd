// What a start finds and goes on without.
#include <catch2/catch.hpp>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

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
  REQUIRE(ready.warnings.size() == 2);
  CHECK(ready.warnings[0].starts_with("pools/web: its saved forecast cannot be used"));
  CHECK(ready.warnings[1] == "metrics.db is missing");
  int events = 0;
  for (const v1::Event& event : ready.batch.events()) {
    events += event.message().find("its saved forecast cannot be used") != std::string::npos &&
              event.name() == kPool;
  }
  CHECK(events == 1);
  CHECK(loop.Tick(simulation.now()).warnings.empty());
}

}  // namespace
}  // namespace shadow
