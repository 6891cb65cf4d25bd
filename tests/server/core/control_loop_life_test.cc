// The whole life of a shadow by hand, and the same life with the daemon killed at every input.
#include <algorithm>
#include <catch2/catch.hpp>

#include "absl/strings/str_join.h"
#include "tests/server/core/shadow_life.h"

namespace shadow {
namespace {

using I = v1::Instance;
using S = v1::ShadowPool;

// Every input; fewer where a sanitizer makes each life ten times as long.
#ifdef SHADOW_SANITIZED
constexpr int kKillStride = 7;
#else
constexpr int kKillStride = 1;
#endif

// The same life once for each of its inputs, killed there.
void LiveThroughKills(Simulation::UnderWay under_way) {
  Simulation whole;
  Live(whole);
  REQUIRE(whole.inputs() > 50);
  for (int input = 2; input < whole.inputs(); input += kKillStride) {
    Simulation simulation;
    simulation.KillAfter(input, under_way);
    INFO("killed after input " << input);
    Live(simulation);
    REQUIRE(simulation.starts() == 2);
    CheckNothingStray(simulation);
    REQUIRE(simulation.provider.Lives().size() == 1);
  }
}

}  // namespace

TEST_CASE("a shadow made by hand is suspended, activated in steps, suspended again and deleted") {
  Simulation simulation;
  Live(simulation);
  CheckNothingStray(simulation);
  CHECK(simulation.provider.Lives().size() == 1);

  std::vector<S::State> states;
  int64_t revision = 0;
  for (const v1::Event& event : simulation.store().events()) {
    CHECK(event.revision() == revision + 1);
    revision = event.revision();
    if (!event.has_shadow_pool()) continue;
    const S::State state = event.shadow_pool().state();
    if (states.empty() || states.back() != state) states.push_back(state);
  }
  CHECK(states == std::vector<S::State>{S::CREATING, S::SUSPENDED, S::ACTIVATING, S::ACTIVE,
                                        S::ACTIVATING, S::ACTIVE, S::DEACTIVATING, S::SUSPENDED,
                                        S::DELETING});
}

TEST_CASE("no more are created at one time than the policy allows") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  auto create = CreatePool(1);
  create.mutable_pool()->mutable_policy()->set_max_concurrent_creations(3);
  REQUIRE(simulation.Call(create).ok());
  REQUIRE(simulation.Call(CreateShadow(350)).ok());  // 6 instances beside the base's one.
  int most = 0;
  REQUIRE(simulation.RunUntil(
      [&] {
        const int under_way =
            CountMembers(simulation, v1::Instance::CREATING, v1::Instance::SHADOW) +
            CountMembers(simulation, v1::Instance::VERIFYING, v1::Instance::SHADOW);
        most = std::max(most, under_way);
        return CountMembers(simulation, v1::Instance::SUSPENDED, v1::Instance::SHADOW) == 6;
      },
      kLimit));
  CHECK(most == 3);
}

TEST_CASE("after a failure instances are created one at a time until one has been made") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  REQUIRE(simulation.RunUntil(
      [&] { return CountMembers(simulation, v1::Instance::ACTIVE, v1::Instance::BASE) == 1; },
      kLimit));
  const auto under_way = [&] {
    return CountMembers(simulation, v1::Instance::CREATING) +
           CountMembers(simulation, v1::Instance::VERIFYING);
  };
  simulation.provider.Set([](FakeProvider::Knobs& knobs) {
    knobs.differences = [](const InstanceSpec&, Provider::Part) {
      return Provider::Differences{"dna.security.user: wanted web, found uid 7"};
    };
  });
  REQUIRE(
      simulation.Call(CreateShadow(350)).ok());  // 6 instances, which are not what they are to be.
  REQUIRE(simulation.RunUntil(
      [&] { return CountMembers(simulation, v1::Instance::FAILED) > 0 && under_way() == 0; },
      kLimit));
  simulation.provider.Set([](FakeProvider::Knobs& knobs) { knobs.differences = nullptr; });
  std::vector<int> counts;  // Different ones, in their order.
  REQUIRE(simulation.RunUntil(
      [&] {
        const int count = under_way();
        if (counts.empty() || counts.back() != count) counts.push_back(count);
        return CountMembers(simulation, v1::Instance::SUSPENDED) == 6;
      },
      kLimit));
  INFO(absl::StrJoin(counts, " "));
  REQUIRE(counts.size() > 3);
  CHECK(std::vector<int>(counts.begin(), counts.begin() + 3) == std::vector<int>{0, 1, 5});
}

TEST_CASE("without a balancer an instance has its whole weight while it serves, and none before") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  v1::CreatePoolRequest pool = CreatePool(0);
  pool.mutable_pool()->mutable_balancer()->mutable_none();
  REQUIRE(simulation.Call(pool).ok());
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  const auto weight = [&] {
    return simulation.world()
        .pools.at("web")
        .members.begin()
        ->second.record.instance()
        .weight_percent();
  };
  const auto is = [&](S::State state) {
    return simulation.RunUntil([&] { return ShadowIs(simulation, state); }, kLimit);
  };
  REQUIRE(is(S::SUSPENDED));
  CHECK(weight() == 0);
  const std::string name = OnlyShadow(simulation)->name();
  REQUIRE(simulation.Call(Activate(name, 100)).ok());
  REQUIRE(is(S::ACTIVE));
  CHECK(weight() == 100);
  REQUIRE(simulation.Call(Activate(name, 0)).ok());
  REQUIRE(is(S::SUSPENDED));
  CHECK(weight() == 0);
}

TEST_CASE("an instance that never becomes ready says why") {
  Simulation simulation;
  FakeProber::Behaviour behaviour;
  behaviour.check = absl::UnavailableError("nothing accepts a connection at 127.0.0.1:20001");
  simulation.prober.SetDefault(behaviour);
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  std::string reason;
  REQUIRE(simulation.RunUntil(
      [&] {
        const auto* shadow = OnlyShadow(simulation);
        if (shadow != nullptr) reason = shadow->failure_reason();
        return !reason.empty();
      },
      kLimit));
  CHECK(reason == "not ready within 1m: nothing accepts a connection at 127.0.0.1:20001");
}

TEST_CASE("an instance that ends while it warms up is replaced before the warm-up is over") {
  Simulation::Options options;
  options.warm_up_latency = absl::Minutes(10);
  Simulation simulation(options);
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  const auto state_of = [&](const std::string& id) {
    const auto& members = simulation.world().pools.at("web").members;
    const auto found = members.find(id);
    return found == members.end() ? I::DELETING : found->second.record.instance().state();
  };
  REQUIRE(simulation.RunUntil([&] { return !simulation.world().pools.at("web").members.empty(); },
                              kLimit));
  const std::string id = simulation.world().pools.at("web").members.begin()->first;
  REQUIRE(simulation.RunUntil([&] { return state_of(id) == I::WARMING; }, kLimit));
  simulation.provider.Exit(id, "exit status 3");
  CHECK(simulation.RunUntil([&] { return state_of(id) != I::WARMING; }, absl::Minutes(1)));
  CHECK(state_of(id) != I::ACTIVE);
}

TEST_CASE("a shadow is deleted, or suspended again, without waiting for its warm-up") {
  Simulation::Options options;
  options.warm_up_latency = absl::Minutes(10);
  Simulation simulation(options);
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  const auto suspended = [&] { return ShadowIs(simulation, S::SUSPENDED); };
  REQUIRE(simulation.RunUntil(suspended, absl::Minutes(1)));
  const std::string name = OnlyShadow(simulation)->name();
  const auto warming = [&] {
    return CountMembers(simulation, v1::Instance::WARMING, v1::Instance::SHADOW) == 1;
  };
  REQUIRE(simulation.Call(Activate(name, 100)).ok());
  REQUIRE(simulation.RunUntil(warming, absl::Seconds(10)));
  REQUIRE(simulation.Call(Activate(name, 0)).ok());
  CHECK(simulation.RunUntil(suspended, absl::Seconds(10)));

  REQUIRE(simulation.Call(Activate(name, 100)).ok());
  REQUIRE(simulation.RunUntil(warming, absl::Seconds(10)));
  REQUIRE(simulation.Call(DeleteShadow(name)).ok());
  CHECK(simulation.RunUntil([&] { return simulation.world().pools.at("web").members.empty(); },
                            absl::Seconds(10)));
}

TEST_CASE("a shadow's events carry the id of the request that caused them") {
  Simulation simulation;
  Live(simulation);
  bool found = false;
  for (const v1::Event& event : simulation.store().events()) {
    if (event.kind() != v1::Event::CREATED || !event.has_shadow_pool()) continue;
    found = true;
    CHECK(event.request_id() == "c");
  }
  CHECK(found);
}

TEST_CASE("a daemon killed at any input of a life, its effects lost, converges and leaks nothing") {
  LiveThroughKills(Simulation::UnderWay::kNotDone);
}

TEST_CASE("a daemon killed at any input of a life, its effects done, converges and leaks nothing") {
  LiveThroughKills(Simulation::UnderWay::kDone);
}

TEST_CASE("an instance that serves and that somebody has stopped is continued") {
  const bool balanced = GENERATE(false, true);
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  v1::CreatePoolRequest pool = CreatePool(1);
  if (!balanced) pool.mutable_pool()->mutable_balancer()->mutable_none();
  REQUIRE(simulation.Call(pool).ok());
  REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == 1; },
                              kLimit));
  simulation.Run(absl::Seconds(10));
  const std::set<std::string> living = LiveMembers(simulation);
  InstanceSpec stopped;
  stopped.id = *living.begin();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(Suspend(simulation.provider, stopped).ok());
    CHECK(simulation.RunUntil(
        [&] { return simulation.provider.Lives().at(stopped.id) == Life::kRunning; },
        absl::Seconds(5)));
    simulation.Run(absl::Seconds(5));
    CHECK(CountMembers(simulation, I::ACTIVE, I::BASE) == 1);
    CHECK(LiveMembers(simulation) == living);
  }
  const auto& events = simulation.store().events();
  CHECK(std::count_if(events.begin(), events.end(), [](const v1::Event& event) {
          return event.message() == "somebody has stopped it: it is continued";
        }) == 3);
}

TEST_CASE("an instance is not given up on because the host has no descriptor or no room for now") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  REQUIRE(simulation.Call(CreateShadow(100)).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::SUSPENDED); }, kLimit));
  const std::set<std::string> living = LiveMembers(simulation);
  using Verb = FakeProvider::Verb;
  simulation.provider.Fail(Verb::kResume, "", absl::ResourceExhaustedError("EMFILE"), 3);
  simulation.provider.Fail(Verb::kSuspend, "", absl::ResourceExhaustedError("ENOSPC"), 3);
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), 100)).ok());
  CHECK(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kLimit));
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), 0)).ok());
  CHECK(simulation.RunUntil([&] { return ShadowIs(simulation, S::SUSPENDED); }, kLimit));
  CHECK(LiveMembers(simulation) == living);
}

}  // namespace shadow
