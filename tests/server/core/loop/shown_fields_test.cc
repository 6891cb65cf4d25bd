// What the daemon shows of a pool, and when that changes.
#include <catch2/catch.hpp>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

v1::Pool Answered(Simulation& simulation, const Request& request) {
  const Answer answer = simulation.Call(request);
  REQUIRE(answer.ok());
  return static_cast<const v1::Pool&>(**answer);
}

v1::UpdatePoolRequest Updated(const v1::CreatePoolRequest& request) {
  v1::UpdatePoolRequest update;
  *update.mutable_pool() = request.pool();
  return update;
}

TEST_CASE("a pool shows what instances_max leaves to it as soon as it has its base") {
  Simulation simulation({.instances_max = 10});
  REQUIRE(simulation.Call(CreateDna()).ok());
  CHECK(Answered(simulation, CreatePool(2)).shadow_instances_left() == 8);
  CHECK(Answered(simulation, Updated(CreatePool(3))).shadow_instances_left() == 7);
}

TEST_CASE("an update of a pool keeps what the daemon shows of it, and a dry run shows the same") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  simulation.Run(absl::Minutes(2));
  const v1::Pool before = simulation.world().pools.at("web").record.pool();
  REQUIRE(before.has_balancer_slots());
  REQUIRE(before.has_shadow_instances_left());

  v1::CreatePoolRequest larger = CreatePool(0);
  larger.mutable_pool()->set_instance_capacity(60);
  for (const bool dry : {true, false}) {
    v1::UpdatePoolRequest request = Updated(larger);
    request.set_validate_only(dry);
    const v1::Pool shown = Answered(simulation, request);
    CHECK(shown.instance_capacity() == 60);
    CHECK(shown.balancer_slots() == before.balancer_slots());
    CHECK(shown.shadow_instances_left() == before.shadow_instances_left());
    CHECK(shown.conditions_size() == before.conditions_size());
    CHECK(shown.has_provisioning_lead());
  }
  larger.mutable_pool()->mutable_balancer()->mutable_haproxy()->set_backend("other");
  CHECK_FALSE(Answered(simulation, Updated(larger)).has_balancer_slots());
}

TEST_CASE("a sample that changes no record leaves the snapshot as it is") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  simulation.Run(absl::Minutes(2) + absl::Seconds(20));              // All within one step.
  REQUIRE(simulation.Call(Report(simulation.now().wall, 10)).ok());  // Its first one is kept.
  simulation.Run(absl::Seconds(20));
  const auto before = simulation.loop().TakeSnapshot();
  REQUIRE(simulation.Call(Report(simulation.now().wall, 20)).ok());
  CHECK(simulation.world().pools.at("web").demand.value == 20);
  CHECK(simulation.loop().TakeSnapshot() == before);
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  CHECK(simulation.loop().TakeSnapshot() != before);
}

}  // namespace
}  // namespace shadow
