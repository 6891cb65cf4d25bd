// Lead times are learned from what instances took.
#include <catch2/catch.hpp>

#include "server/core/loop/planning.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

const PoolEntry& Web(const Simulation& simulation) { return simulation.world().pools.at("web"); }

}  // namespace

TEST_CASE("what an instance served before it was first suspended is no lead") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  const std::string name = OnlyShadow(simulation)->name();
  REQUIRE(simulation.Call(Activate(name, 100)).ok());  // While it is created.
  simulation.Run(absl::Minutes(30));
  REQUIRE(CountMembers(simulation, v1::Instance::ACTIVE, v1::Instance::SHADOW) == 1);
  REQUIRE(simulation.Call(Activate(name, 0)).ok());
  simulation.Run(absl::Minutes(1));
  REQUIRE(CountMembers(simulation, v1::Instance::SUSPENDED, v1::Instance::SHADOW) == 1);
  REQUIRE(Web(simulation).record.provisioning_leads_size() == 2);  // The base's too.
  for (const auto& lead : Web(simulation).record.provisioning_leads()) {
    CHECK(FromProto(lead) < absl::Seconds(10));
  }
}

TEST_CASE("a provider that has slowed down lengthens the lead before its instances are there") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  simulation.Run(absl::Minutes(1));
  const Instant before = simulation.now();
  CHECK(ProvisioningLeadNow(Web(simulation), before.wall) < absl::Seconds(10));
  simulation.provider.Set([](FakeProvider::Knobs& knobs) { knobs.start_inspections = 1'000; });
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  simulation.Run(absl::Seconds(25));
  CHECK(ProvisioningLeadNow(Web(simulation), simulation.now().wall) >= absl::Seconds(24));
}

}  // namespace shadow
