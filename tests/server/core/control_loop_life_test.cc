// The whole life of a shadow by hand, and the same life with the daemon killed at every input.
#include <catch2/catch.hpp>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;

constexpr absl::Duration kLimit = absl::Minutes(2);

// Every input; fewer where a sanitizer makes each life ten times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kKillStride = 7;
#else
constexpr int kKillStride = 1;
#endif

// Until it is answered: a killed daemon is asked again, with the same request id.
template <typename R>
absl::Status Insist(Simulation& simulation, R request, const std::string& request_id) {
  request.set_request_id(request_id);
  Answer answer = simulation.Call(request);
  if (absl::IsUnavailable(answer.status())) answer = simulation.Call(request);
  return answer.status();
}

bool Reaches(Simulation& simulation, S::State state, int serving) {
  return simulation.RunUntil(
      [&] {
        return simulation.MisledTraffic().empty() && ShadowIs(simulation, state) &&
               OnlyShadow(simulation)->serving_instances() == serving;
      },
      kLimit);
}

void CheckNothingStray(Simulation& simulation) {
  CHECK(ProviderIds(simulation) == LiveMembers(simulation));
  CHECK(BalancerAddresses(simulation) == ActiveAddresses(simulation));
  CHECK(simulation.MisledTraffic().empty());
}

// A base of 1, and a shadow of 2: suspended, half active, all active, suspended, deleted.
void Live(Simulation& simulation) {
  REQUIRE(Insist(simulation, CreateDna(), "a").ok());
  REQUIRE(Insist(simulation, CreatePool(1), "b").ok());
  REQUIRE(Insist(simulation, CreateShadow(150), "c").ok());
  REQUIRE(Reaches(simulation, S::SUSPENDED, 0));
  const std::string name = OnlyShadow(simulation)->name();
  REQUIRE(Insist(simulation, Activate(name, 50), "d").ok());
  REQUIRE(Reaches(simulation, S::ACTIVE, 1));
  REQUIRE(Insist(simulation, Activate(name, 100), "e").ok());
  REQUIRE(Reaches(simulation, S::ACTIVE, 2));
  REQUIRE(Insist(simulation, Activate(name, 0), "f").ok());
  REQUIRE(Reaches(simulation, S::SUSPENDED, 0));
  REQUIRE(Insist(simulation, DeleteShadow(name), "g").ok());
  REQUIRE(simulation.RunUntil([&] { return simulation.world().pools.at("web").shadows.empty(); },
                              kLimit));
  REQUIRE(simulation.RunUntil(
      [&] { return CountMembers(simulation, v1::Instance::ACTIVE, v1::Instance::BASE) == 1; },
      kLimit));
  simulation.Run(absl::Seconds(10));
}

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

}  // namespace shadow
