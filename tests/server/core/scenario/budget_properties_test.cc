// Scarce instances, through the whole control loop: what is promised and what lives, at every
// input.
#include <catch2/catch.hpp>
#include <random>

#include "tests/server/core/scenario/planning_world.h"

namespace shadow {
namespace {

#ifdef SHADOW_SANITIZED
constexpr unsigned kBudgetSeeds = 1;
#else
constexpr unsigned kBudgetSeeds = 4;
#endif

// The bases and targets of all pools.
int Promised(const PlanningWorld& world) {
  int promised = 0;
  for (const auto& [id, pool] : world.simulation.world().pools) {
    promised += pool.spec->pool.managed_instances() + world.Targets(id).instances;
  }
  return promised;
}

int Living(const PlanningWorld& world) {
  return static_cast<int>(world.simulation.provider.Lives().size());
}

// Four pools of random demand, priorities and bounds: `count` never exceeds what there is, and
// reaches it.
void CheckBudget(int (*count)(const PlanningWorld&)) {
  for (unsigned seed = 0; seed < kBudgetSeeds; ++seed) {
    std::mt19937 random(seed);
    const auto between = [&](int low, int high) {
      return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
    };
    const int instances_max = between(6, 20);
    PlanningWorld world(instances_max);
    const std::vector<std::string> ids = {"one", "two", "three", "four"};
    for (const std::string& id : ids) {
      v1::Pool pool = PlanningWorld::Pool(id);
      pool.set_managed_instances(between(0, 1));
      pool.mutable_policy()->set_priority(between(0, 1));
      pool.mutable_policy()->set_min_shadow_instances(between(0, 3));
      world.Create(pool);
      world.demand[id] = {.kind = DemandShape::Kind::kDay, .high = 1.0 * between(0, 400)};
      if (random() % 2 == 0) world.ImportHistory(id, absl::Hours(48));
    }
    INFO("seed " << seed << ", at most " << instances_max);
    const auto exceeds = [&] { return count(world) > instances_max; };
    bool scarce = false;
    for (int phase = 0; phase < 30; ++phase) {
      for (const std::string& id : ids) world.demand[id].plus = between(0, 400);
      const bool exceeded = world.RunUntil(exceeds, between(1, 6) * absl::Minutes(7));
      INFO("phase " << phase << ": " << count(world));
      REQUIRE_FALSE(exceeded);
      scarce |= count(world) == instances_max;
    }
    CHECK(scarce);
  }
}

}  // namespace

TEST_CASE("pools of random demand never have more instances than there may be, at any input") {
  CheckBudget(Living);
}

TEST_CASE("pools of random demand are never promised more than there may be, at any input") {
  CheckBudget(Promised);
}

}  // namespace shadow
