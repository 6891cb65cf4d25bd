// More than one crash in one life, crashes during recovery, and a world that changes meanwhile.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/server/core/shadow_life.h"

namespace shadow {
namespace {

using I = v1::Instance;
using UnderWay = Simulation::UnderWay;

// Fewer inputs where a sanitizer makes each life ten times as long.
#ifdef SHADOW_SANITIZED
constexpr int kStride = 13;
#else
constexpr int kStride = 3;
#endif

constexpr UnderWay kUnderWay[] = {UnderWay::kDone, UnderWay::kNotDone, UnderWay::kEverySecond};

UnderWay Cycle(int turn) { return kUnderWay[turn % 3]; }

int Created(const Simulation& simulation, bool (v1::Event::*of_kind)() const) {
  const auto& events = simulation.store().events();
  return static_cast<int>(std::count_if(events.begin(), events.end(), [&](const v1::Event& event) {
    return event.kind() == v1::Event::CREATED && (event.*of_kind)();
  }));
}

// After Live: the base of 1 alone is left, nothing was made twice, and the event revisions have
// neither gap nor double.
void CheckConverged(Simulation& simulation, int instances_created) {
  CheckNothingStray(simulation);
  CHECK(simulation.provider.Lives().size() == 1);
  CHECK(simulation.store().Contents().shadows_size() == 0);
  CHECK(Created(simulation, &v1::Event::has_shadow_pool) == 1);
  CHECK(Created(simulation, &v1::Event::has_instance) == instances_created);
  int64_t revision = 0;
  for (const v1::Event& event : simulation.store().events()) {
    if (event.revision() != ++revision) FAIL_CHECK("revision " << event.revision());
  }
}

int InputsOfALife() {
  Simulation simulation;
  Live(simulation);
  return simulation.inputs();
}

}  // namespace

TEST_CASE("a daemon killed again once the batch of its recovery is durable converges") {
  const int inputs = InputsOfALife();
  for (int input = 2; input < inputs; input += kStride) {
    Simulation simulation;
    INFO("killed after the inputs " << input << " and " << input + 1);
    simulation.KillAfter(input, Cycle(input));
    simulation.KillAfter(input + 1, Cycle(input / 3));
    Live(simulation);
    REQUIRE(simulation.starts() == 3);
    CheckConverged(simulation, 3);
  }
}

TEST_CASE("a daemon whose batches are durable late, and that loses some in a kill, converges") {
  const absl::Duration latency =
      GENERATE(absl::Milliseconds(3), absl::Milliseconds(40), absl::Seconds(3));
  Simulation whole({.commit_latency = latency});
  Live(whole);
  CheckConverged(whole, 3);
  for (int input = 2; input < whole.inputs(); input += kStride) {
    Simulation simulation({.commit_latency = latency});
    INFO("batches take " << latency << ", killed after the input " << input);
    simulation.KillAfter(input, Cycle(input));
    Live(simulation);
    REQUIRE(simulation.starts() == 2);
    CheckConverged(simulation, 3);
  }
}

TEST_CASE("a daemon killed a second time at any distance from the first converges") {
  constexpr int kDistanceMax = 30;
  const int inputs = InputsOfALife() - kDistanceMax;
  for (int input = 3; input < inputs; input += kStride) {
    Simulation simulation;
    const int second = input + 2 + input * 7 % (kDistanceMax - 1);
    INFO("killed after the inputs " << input << " and " << second);
    simulation.KillAfter(input, Cycle(input / 3));
    simulation.KillAfter(second, Cycle(input));
    Live(simulation);
    REQUIRE(simulation.starts() == 3);
    CheckConverged(simulation, 3);
  }
}

TEST_CASE("a daemon that is killed eight times in a row while it recovers converges") {
  constexpr int kKills = 8;
  const int inputs = InputsOfALife();
  for (int input = 2; input < inputs; input += 2 * kStride) {
    Simulation simulation;
    INFO("killed from input " << input << " on");
    for (int kill = 0; kill < kKills; ++kill) {
      simulation.KillAfter(input + kill, Cycle(input + kill));
    }
    Live(simulation);
    REQUIRE(simulation.starts() == 1 + kKills);
    CheckConverged(simulation, 3);
  }
}

TEST_CASE("a daemon that is killed after every seventh input makes progress and converges") {
  Simulation simulation;
  for (int kill = 0; kill < 400; ++kill) simulation.KillAfter(2 + 7 * kill, Cycle(kill));
  Live(simulation);
  CHECK(simulation.starts() > 10);
  CheckConverged(simulation, 3);
}

TEST_CASE("an instance that dies while the daemon is down is replaced, whatever its state was") {
  const int inputs = InputsOfALife();
  for (int input = 2; input < inputs; input += kStride) {
    Simulation simulation;
    INFO("killed after input " << input);
    int died = 0;
    simulation.while_down = [&] {
      const auto lives = simulation.provider.Lives();
      if (lives.empty()) return;
      simulation.provider.Exit(lives.rbegin()->first, "died alone");
      died = 1;
    };
    simulation.KillAfter(input, Cycle(input));
    Live(simulation, MisledTraffic::kMayBe);
    CHECK(simulation.RunUntil(
        [&] {
          return CountMembers(simulation, I::ACTIVE, I::BASE) == 1 &&
                 ProviderIds(simulation) == LiveMembers(simulation) &&
                 BalancerAddresses(simulation) == ActiveAddresses(simulation);
        },
        kLimit));
    CheckNothingStray(simulation);
    CHECK(simulation.provider.Lives().size() == 1);
    CHECK(Created(simulation, &v1::Event::has_instance) <= 3 + died);
  }
}

TEST_CASE("a balancer that forgets its members while the daemon is down gets them again") {
  const int inputs = InputsOfALife();
  for (int input = 2; input < inputs; input += kStride) {
    Simulation simulation;
    INFO("killed after input " << input);
    simulation.while_down = [&] {
      for (auto& [name, balancer] : simulation.balancers) balancer.Restart();
    };
    simulation.KillAfter(input, Cycle(input));
    Live(simulation);
    CheckConverged(simulation, 3);
  }
}

}  // namespace shadow
