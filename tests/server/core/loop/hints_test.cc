// What comes of it when a provider says that an instance may have changed: a look, and nothing
// else.
#include <catch2/catch.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using I = v1::Instance;
using V = FakeProvider::Verb;

const Member& OnlyMember(const Simulation& simulation) {
  const auto& members = simulation.world().pools.at("web").members;
  REQUIRE(members.size() == 1);
  return members.begin()->second;
}

bool Serves(const Simulation& simulation) {
  return CountMembers(simulation, I::ACTIVE, I::BASE) == 1;
}

void CreateOne(Simulation& simulation) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
}

// One instance that serves, and the list of its provider has just come. Returns its id.
std::string ServeOne(Simulation& simulation) {
  CreateOne(simulation);
  REQUIRE(simulation.RunUntil([&] { return Serves(simulation); }, kLimit));
  const int lists = simulation.provider.Calls(V::kList);
  REQUIRE(simulation.RunUntil([&] { return simulation.provider.Calls(V::kList) > lists; }, kLimit));
  return OnlyMember(simulation).id;
}

TEST_CASE("an instance that is said to have changed is looked at at once") {
  Simulation simulation;
  const std::string id = ServeOne(simulation);
  simulation.provider.Exit(id, "killed 9");
  simulation.Run(absl::Milliseconds(100));
  REQUIRE(Serves(simulation));  // The next list is far.
  simulation.Hint(id);
  CHECK(simulation.RunUntil([&] { return !Serves(simulation); }, absl::Milliseconds(100)));
  CHECK(simulation.RunUntil([&] { return Serves(simulation); }, kLimit));
}

TEST_CASE("a hint is not believed") {
  Simulation simulation;
  const std::string id = ServeOne(simulation);
  const int lists = simulation.provider.Calls(V::kList);
  simulation.Hint(id);
  simulation.Run(absl::Milliseconds(100));
  CHECK(simulation.provider.Calls(V::kList) == lists + 1);
  CHECK(OnlyMember(simulation).id == id);
  CHECK(Serves(simulation));
}

TEST_CASE("a hint that comes during a list brings another one") {
  Simulation simulation({.list_latency = absl::Milliseconds(500)});
  const std::string id = ServeOne(simulation);
  REQUIRE(simulation.RunUntil(
      [&] { return simulation.world().providers.begin()->second.effect.has_value(); }, kLimit));
  const int lists = simulation.provider.Calls(V::kList);
  simulation.Hint(id);
  simulation.Run(2 * absl::Milliseconds(500));
  CHECK(simulation.provider.Calls(V::kList) == lists + 2);
}

TEST_CASE("a flood of hints makes one list a second") {
  Simulation simulation;
  const std::string id = ServeOne(simulation);
  const int lists = simulation.provider.Calls(V::kList);
  constexpr int kSeconds = 5;
  for (int i = 0; i < kSeconds * 1000; ++i) {
    simulation.Hint(id);
    simulation.Run(absl::Milliseconds(1));
  }
  CHECK(simulation.provider.Calls(V::kList) - lists <= kSeconds + 1);
  CHECK(Serves(simulation));
}

TEST_CASE("a hint of an instance that nobody knows does nothing") {
  Simulation simulation;
  ServeOne(simulation);
  const Ready ready = simulation.loop().OnHints({"i999999"}, simulation.now());
  CHECK(ready.effects.empty());
  CHECK(ready.batch.ByteSizeLong() == 0);
}

TEST_CASE("an instance that is on its way is asked at once, but once at a time") {
  Simulation simulation;
  simulation.provider.Set([](FakeProvider::Knobs& knobs) { knobs.start_inspections = 1'000'000; });
  CreateOne(simulation);
  const auto member = [&]() -> const Member& { return OnlyMember(simulation); };
  const auto waits = [&] {
    return member().task == InstanceTask::kAwaitReady && !member().effect.has_value() &&
           member().not_before > simulation.now().mono;
  };
  REQUIRE(simulation.RunUntil(waits, kLimit));
  const std::string id = member().id;
  simulation.Hint(id);
  const std::optional<uint64_t> under_way = member().effect;
  REQUIRE(under_way.has_value());
  simulation.Hint(id);
  CHECK(member().effect == under_way);
  CHECK(simulation.RunUntil(waits, kLimit));
}

TEST_CASE("a task that is under way is left alone by hints") {
  Simulation simulation;
  CreateOne(simulation);
  for (int i = 0; i < 60'000 && !Serves(simulation); ++i) {
    simulation.Hint(OnlyMember(simulation).id);
    simulation.Run(absl::Milliseconds(1));
  }
  CHECK(Serves(simulation));
  CHECK(simulation.provider.Calls(V::kCreate) == 1);
  CHECK(LiveMembers(simulation) == ProviderIds(simulation));
}

TEST_CASE("a daemon that is killed after a hint finds the same without it") {
  Simulation simulation;
  const std::string id = ServeOne(simulation);
  simulation.provider.Exit(id, "killed 9");
  simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kNotDone);
  simulation.Hint(id);
  CHECK(simulation.RunUntil(
      [&] { return Serves(simulation) && !LiveMembers(simulation).contains(id); }, kLimit));
  CHECK(simulation.starts() == 2);
}

}  // namespace
}  // namespace shadow
