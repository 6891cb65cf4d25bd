// What is told of rollouts.
#include "server/core/loop/status/rollout.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using I = v1::Instance;
using Messages = std::vector<std::string>;

constexpr absl::Duration kRolledOutLimit = absl::Minutes(10);

Messages RolloutsTold(const Simulation& simulation) {
  Messages told;
  for (const v1::Event& event : simulation.store().events()) {
    if (event.message().starts_with("rollout of ")) told.push_back(event.message());
  }
  return told;
}

std::string WebRevision(const Simulation& simulation) {
  return simulation.world().pools.at("web").record.pool().dna_revision();
}

v1::Condition ScalingOf(const Simulation& simulation) {
  for (const v1::Condition& one : simulation.world().pools.at("web").record.pool().conditions()) {
    if (one.type() == "Scaling") return one;
  }
  return {};
}

void ServeBase(Simulation& simulation, int base) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(base)).ok());
  REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == base; },
                              kLimit));
}

// Back to the DNA that the pool began with.
v1::UpdateDnaRequest RollBack() {
  v1::UpdateDnaRequest request;
  *request.mutable_dna() = CreateDna().dna();
  return request;
}

}  // namespace

TEST_CASE("a rollout tells its begin and its end once, also over restarts") {
  for (const bool restarts : {false, true}) {
    Simulation simulation;
    ServeBase(simulation, 2);
    CHECK(RolloutsTold(simulation).empty());
    REQUIRE(simulation.Call(UpdateDna()).ok());
    const std::string revision = WebRevision(simulation);
    const Messages begun{"rollout of " + revision + " begins: 2 instances run another revision"};
    CHECK(RolloutsTold(simulation) == begun);
    if (restarts) {
      simulation.KillAfter(simulation.inputs() + 2, Simulation::UnderWay::kNotDone);
      simulation.Run(absl::Milliseconds(100));
      CHECK(RolloutsTold(simulation) == begun);
    }
    CHECK(
        simulation.RunUntil([&] { return RolloutsTold(simulation).size() > 1; }, kRolledOutLimit));
    CHECK(CountMembers(simulation, I::ACTIVE, I::BASE) == 2);
    for (const auto& [id, life] : simulation.provider.Lives()) {
      CHECK(simulation.provider.RevisionOf(id) == revision);
    }
    if (restarts) {
      simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kDone);
    }
    simulation.Run(absl::Minutes(1));
    CHECK(RolloutsTold(simulation) ==
          Messages{begun[0], "rollout of " + revision + " is complete"});
    CHECK(simulation.starts() == (restarts ? 3 : 1));
  }
}

TEST_CASE("a rollout of a shadow is the reason of Scaling until it is complete") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0, v1::Policy::AUTOMATIC)).ok());
  const auto serves = [&] {
    return CountMembers(simulation, I::ACTIVE) == 3 &&
           ScalingOf(simulation).reason() == "Automatic";
  };
  REQUIRE(RunUnder(simulation, 100, kRolledOutLimit, serves));
  REQUIRE(simulation.Call(UpdateDna()).ok());
  const std::string revision = WebRevision(simulation);
  CHECK(ScalingOf(simulation).status() == v1::Condition::TRUE);
  CHECK(ScalingOf(simulation).reason() == "RollingOut");
  CHECK(ScalingOf(simulation).message() == "0 of 3 instances run " + revision);
  REQUIRE(RunUnder(simulation, 100, kRolledOutLimit,
                   [&] { return RolloutsTold(simulation).size() > 1; }));
  CHECK(RolloutsTold(simulation) ==
        Messages{"rollout of " + revision + " begins: 3 instances run another revision",
                 "rollout of " + revision + " is complete"});
  CHECK(ScalingOf(simulation).reason() == "Automatic");
  CHECK(OnlyShadow(simulation)->dna_revision() == revision);
}

TEST_CASE("a rollout that is rolled back is told as one of the old revision") {
  Simulation simulation({.latency = absl::Seconds(2)});
  ServeBase(simulation, 1);
  const std::string first = WebRevision(simulation);
  REQUIRE(simulation.Call(UpdateDna()).ok());
  const std::string second = WebRevision(simulation);
  REQUIRE(simulation.Call(RollBack()).ok());
  REQUIRE(WebRevision(simulation) == first);
  REQUIRE(
      simulation.RunUntil([&] { return RolloutsTold(simulation).size() > 2; }, kRolledOutLimit));
  CHECK(RolloutsTold(simulation) ==
        Messages{"rollout of " + second + " begins: 1 instance runs another revision",
                 "rollout of " + first +
                     " begins: 1 instance runs another revision; it replaces "
                     "that of " +
                     second,
                 "rollout of " + first + " is complete"});
}

TEST_CASE("a pool without instances takes over a revision without a rollout") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  REQUIRE(simulation.Call(UpdateDna()).ok());
  simulation.Run(absl::Minutes(1));
  CHECK(RolloutsTold(simulation).empty());
}

}  // namespace shadow
