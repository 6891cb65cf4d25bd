// A new DNA revision where the balancer has no slots to spare: old and new ones change places.
#include <algorithm>
#include <catch2/catch.hpp>

#include "server/core/planner.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using I = v1::Instance;

constexpr absl::Duration kRolloutLimit = absl::Minutes(10);

std::string NewestRevision(const Simulation& simulation) {
  return simulation.world().pools.at("web").record.pool().dna_revision();
}

int CountServing(const Simulation& simulation, const std::string& revision) {
  int count = 0;
  for (const auto& [id, member] : simulation.world().pools.at("web").members) {
    const I& instance = member.record.instance();
    count += instance.state() == I::ACTIVE && instance.dna_revision() == revision;
  }
  return count;
}

int CountServing(const Simulation& simulation) {
  return CountMembers(simulation, I::ACTIVE) + CountMembers(simulation, I::ACTIVE, I::BASE);
}

// `base` and enough shadow instances for `demand` serve, in `slots` slots.
void Serve(Simulation& simulation, int base, double demand, size_t slots, int serving) {
  simulation.balancers.try_emplace(kPool, slots);
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(base, v1::Policy::AUTOMATIC)).ok());
  REQUIRE(RunUnder(simulation, demand, kRolloutLimit,
                   [&] { return CountServing(simulation) == serving; }));
}

TEST_CASE("where there are no slots for both, a new revision takes over one by one") {
  const struct {
    int base;
    double demand;
    size_t slots;
    int serving;
  } cases[] = {{0, 100, 3, 3}, {0, 100, 5, 3}, {1, 130, 4, 3}, {2, 50, 2, 2}, {2, 170, 4, 4}};
  for (const auto& c : cases) {
    INFO("a base of " << c.base << ", " << c.slots << " slots");
    Simulation simulation;
    Serve(simulation, c.base, c.demand, c.slots, c.serving);
    REQUIRE(simulation.Call(UpdateDna()).ok());
    int fewest = c.serving;
    const bool replaced = RunUnder(simulation, c.demand, kRolloutLimit, [&] {
      fewest = std::min(fewest, CountServing(simulation));
      CHECK(simulation.MisledTraffic().empty());
      const auto& pool = simulation.world().pools.at("web");
      return CountServing(simulation, NewestRevision(simulation)) == c.serving &&
             pool.shadows.size() <= 1;
    });
    CHECK(replaced);
    // One of the base and one of the shadow at one time at most.
    CHECK(fewest >= c.serving - (c.base > 0 && c.serving > c.base ? 2 : 1));
    CHECK(simulation.RunUntil(
        [&] { return BalancerAddresses(simulation) == ActiveAddresses(simulation); }, kLimit));
  }
}

TEST_CASE("where there are slots for both, nobody gives way before it is replaced") {
  Simulation simulation;
  Serve(simulation, 0, 100, 6, 3);
  REQUIRE(simulation.Call(UpdateDna()).ok());
  int fewest = 3;
  CHECK(RunUnder(simulation, 100, kRolloutLimit, [&] {
    fewest = std::min(fewest, CountServing(simulation));
    return CountServing(simulation, NewestRevision(simulation)) == 3;
  }));
  CHECK(fewest == 3);
}

// How many the shadow of the older revision is to have active; -1: there is none.
int OldActive(const Simulation& simulation) {
  for (const auto& [id, shadow] : simulation.world().pools.at("web").shadows) {
    const v1::ShadowPool& proto = shadow.record.shadow();
    if (proto.dna_revision() == NewestRevision(simulation)) continue;
    return ActiveCount(proto.target_instances(), proto.target_activation_level());
  }
  return -1;
}

TEST_CASE("a look at the balancer that fails gives no slot back to the old revision") {
  Simulation simulation;
  Serve(simulation, 0, 100, 3, 3);
  REQUIRE(simulation.Call(UpdateDna()).ok());
  REQUIRE(RunUnder(simulation, 100, kRolloutLimit,
                   [&] { return OldActive(simulation) >= 0 && OldActive(simulation) < 3; }));
  const int lowered = OldActive(simulation);
  simulation.balancers.at(kPool).Fail(FakeBalancer::Verb::kView, absl::UnavailableError("hung"),
                                      10);
  CHECK(RunUnder(simulation, 100, kRolloutLimit, [&] {
    CHECK(OldActive(simulation) <= lowered);
    return CountServing(simulation, NewestRevision(simulation)) == 3;
  }));
}

TEST_CASE("a new revision that fails its canary takes no more than one slot from the old one") {
  for (const int base : {0, 3}) {
    INFO("a base of " << base);
    Simulation simulation;
    Serve(simulation, base, 100, 3, 3);
    const std::string old_revision = NewestRevision(simulation);
    REQUIRE(simulation.Call(UpdateDna()).ok());
    const std::string new_revision = NewestRevision(simulation);
    int fewest = 3;
    int failed = 0;
    CHECK_FALSE(RunUnder(simulation, 100, absl::Minutes(20), [&] {
      for (const auto& [id, member] : simulation.world().pools.at("web").members) {
        const I& instance = member.record.instance();
        if (instance.dna_revision() != new_revision) continue;
        failed = std::max(failed, static_cast<int>(instance.state() == I::FAILED));
        simulation.balancers.at(kPool).SetCounters(instance.address(), 100, 50, std::nullopt);
      }
      fewest = std::min(fewest, CountServing(simulation, old_revision));
      return fewest < 2;
    }));
    CHECK(failed == 1);
    CHECK(CountServing(simulation, new_revision) == 0);
  }
}

TEST_CASE("the only instance that serves does not give its slot away, and the new one says why") {
  for (const int base : {0, 1}) {
    INFO("a base of " << base);
    Simulation simulation;
    Serve(simulation, base, 40, 1, 1);
    const std::string old_revision = NewestRevision(simulation);
    REQUIRE(simulation.Call(UpdateDna()).ok());
    CHECK_FALSE(RunUnder(simulation, 40, absl::Minutes(5),
                         [&] { return CountServing(simulation, old_revision) == 0; }));
    std::string reason;
    for (const auto& [id, member] : simulation.world().pools.at("web").members) {
      if (member.record.instance().dna_revision() != old_revision) {
        reason = member.record.instance().reason();
      }
    }
    CHECK(reason == "add: no free slot");
    const auto& conditions = simulation.world().pools.at("web").record.pool().conditions();
    const auto scaling = std::find_if(conditions.begin(), conditions.end(),
                                      [](const auto& one) { return one.type() == "Scaling"; });
    REQUIRE(scaling != conditions.end());
    CHECK(scaling->reason() == "RollingOut");
    CHECK_THAT(scaling->message(), Catch::EndsWith(" waits: add: no free slot"));
  }
}

}  // namespace
}  // namespace shadow
