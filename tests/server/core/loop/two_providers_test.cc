// Pools at different providers of one daemon.
#include <catch2/catch.hpp>
#include <string>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using Verb = FakeProvider::Verb;

// One without a type: it is not there.
template <typename Conditions>
v1::Condition ConditionIn(const Conditions& conditions, const std::string& type) {
  for (const v1::Condition& condition : conditions) {
    if (condition.type() == type) return condition;
  }
  return {};
}

v1::Condition ShownBy(const Simulation& simulation, const std::string& pool,
                      const std::string& type) {
  return ConditionIn(simulation.world().pools.at(pool).record.pool().conditions(), type);
}

// "web" is at the second provider and has a shadow, "db" has a base of one at the first.
void MakeTwoPools(Simulation& simulation) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  simulation.MoveToSecondProvider("web");
  REQUIRE(simulation.Call(CreateShadow(100)).ok());
  v1::CreatePoolRequest other = CreatePool(1);
  other.mutable_pool()->set_name("pools/db");
  other.mutable_pool()->mutable_balancer()->mutable_haproxy()->set_backend("db");
  REQUIRE(simulation.Call(other).ok());
}

TEST_CASE("the pool of a provider that never answers says so, and the others serve") {
  // The daemon gives up on its calls.
  Simulation simulation({.second_provider_latency = absl::Seconds(10)});
  for (const Verb verb : {Verb::kList, Verb::kCreate, Verb::kInspect, Verb::kDestroy}) {
    simulation.second_provider.Fail(verb, "", absl::DeadlineExceededError("no answer"), 10'000);
  }
  MakeTwoPools(simulation);
  CHECK(simulation.RunUntil(
      [&] { return ShownBy(simulation, "db", "Ready").status() == v1::Condition::TRUE; }, kLimit));
  REQUIRE(simulation.RunUntil(
      [&] {
        return ShownBy(simulation, "web", "ProviderReachable").status() == v1::Condition::FALSE;
      },
      kLimit));
  CHECK(ShownBy(simulation, "web", "ProviderReachable").message() == "no answer");
  CHECK(ShownBy(simulation, "db", "ProviderReachable").status() == v1::Condition::TRUE);

  simulation.Run(absl::Minutes(5));
  CHECK(ShownBy(simulation, "db", "Ready").status() == v1::Condition::TRUE);
  CHECK_FALSE(ShadowIs(simulation, v1::ShadowPool::SUSPENDED));
  CHECK(simulation.provider.Lives().size() == 1);
  const auto snapshot = simulation.loop().TakeSnapshot();
  CHECK(snapshot->recovered);
  CHECK(ConditionIn(snapshot->conditions, "Ready").status() == v1::Condition::TRUE);
  CHECK(ConditionIn(snapshot->conditions, "ProviderReachable/process").status() ==
        v1::Condition::TRUE);
  CHECK(ConditionIn(snapshot->conditions, "ProviderReachable/second").status() ==
        v1::Condition::FALSE);
}

TEST_CASE("a provider's list says nothing of the instances of another") {
  Simulation simulation;
  MakeTwoPools(simulation);
  REQUIRE(simulation.RunUntil(
      [&] {
        return ShadowIs(simulation, v1::ShadowPool::SUSPENDED) &&
               ShownBy(simulation, "db", "Ready").status() == v1::Condition::TRUE;
      },
      kLimit));
  const auto at_first = simulation.provider.Lives();
  const auto at_second = simulation.second_provider.Lives();
  CHECK(at_first.size() == 1);
  CHECK_FALSE(at_second.empty());
  simulation.Run(absl::Minutes(1));
  CHECK(simulation.provider.Lives() == at_first);
  CHECK(simulation.second_provider.Lives() == at_second);
  CHECK(CountMembers(simulation, v1::Instance::FAILED) == 0);
}

}  // namespace
}  // namespace shadow
