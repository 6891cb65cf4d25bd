// What always holds of the planner, through the whole control loop: random worlds on fixed seeds.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <random>

#include "server/core/spec/bounds.h"
#include "tests/server/core/scenario/planning_world.h"

namespace shadow {
namespace {

using D = v1::Decision;

constexpr absl::Duration kDay = absl::Hours(24);

#ifdef SHADOW_SANITIZED
constexpr unsigned kSeeds = 2;
#else
constexpr unsigned kSeeds = 6;
#endif

using Random = std::mt19937;

int Between(Random& random, int low, int high) {
  return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
}

// A day or a week of some height over some base load.
DemandShape RandomShape(Random& random) {
  DemandShape shape;
  shape.kind = static_cast<DemandShape::Kind>(Between(random, 0, 2));
  shape.low = Between(random, 0, 160);
  shape.high = shape.low + Between(random, 0, 400);
  shape.noise = Between(random, 0, 40);
  shape.seed = random();
  return shape;
}

// Three days of a random demand are behind the pool "web".
void Begin(PlanningWorld& world, Random& random) {
  world.Create(PlanningWorld::Pool("web"));
  world.demand["web"] = RandomShape(random);
  world.ImportHistory("web", 3 * kDay);
}

}  // namespace

TEST_CASE("with the same history a higher last demand never makes less ready") {
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Random of_seed(seed);
    const int minutes = 5 * Between(of_seed, 0, 287);
    ShadowTargets last{.instances = -1, .active = -1};
    for (const double more : {0.0, 20.0, 90.0, 400.0}) {
      Random random(seed + 1);
      PlanningWorld world;
      Begin(world, random);
      world.Run(minutes * absl::Minutes(1));
      world.demand["web"].plus = more;
      world.Run(PlanningWorld::kStep + absl::Minutes(1));
      const ShadowTargets targets = world.Targets("web");
      INFO("seed " << seed << ", " << minutes << " min into the day, " << more << " more");
      CHECK(targets.instances >= last.instances);
      CHECK(targets.active >= last.active);
      last = targets;
    }
  }
}

TEST_CASE("a day of constant demand and noise is no reason to flap") {
  // Twice an hour. Where the noise, or headroom times it, crosses the edge of an instance, both the
  // actual need and the plan come and go: up to 35 a day on these seeds.
  constexpr int kGrowthsMax = 48;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    PlanningWorld world;
    world.Create(PlanningWorld::Pool("web"));
    DemandShape& shape = world.demand["web"];
    shape.low = Between(random, 50, 400);
    shape.noise = shape.low * 0.01 * Between(random, 1, 10);
    shape.seed = seed;
    world.ImportHistory("web", 3 * kDay);
    world.Run(absl::Hours(1));  // The first instances are no flapping.
    const int created = world.simulation.provider.Calls(FakeProvider::Verb::kCreate);
    const size_t recorded = world.decisions().size();
    world.Run(kDay);
    const auto grew = [](const D& one) {
      return one.target_instances() > one.inputs().current_instances();
    };
    const auto growths =
        std::count_if(world.decisions().begin() + static_cast<std::ptrdiff_t>(recorded),
                      world.decisions().end(), grew);
    INFO("demand " << shape.low << " +- " << shape.noise);
    CHECK(growths <= kGrowthsMax);
    CHECK(world.simulation.provider.Calls(FakeProvider::Verb::kCreate) - created <= kGrowthsMax);
  }
}

TEST_CASE("missing data never scales in, whenever it begins to be missing") {
  for (unsigned seed = 0; seed < 2 * kSeeds; ++seed) {
    Random random(seed);
    PlanningWorld world;
    Begin(world, random);
    world.Run(5 * Between(random, 0, 287) * absl::Minutes(1));
    world.demand.clear();
    world.Run(absl::Minutes(15));  // Three steps: what is known is stale from here on.
    ShadowTargets last = world.Targets("web");
    const size_t recorded = world.decisions().size();
    INFO("seed " << seed);
    const auto fell = [&] {
      const ShadowTargets now = world.Targets("web");
      const bool less = now.instances < last.instances || now.active < last.active;
      last = now;
      return less;
    };
    CHECK_FALSE(world.RunUntil(fell, Between(random, 1, 36) * absl::Hours(1)));
    for (size_t i = recorded; i < world.decisions().size(); ++i) {
      CHECK(world.decisions()[i].reasons(0) == D::USAGE_STALE);
    }
  }
}

TEST_CASE("an override of the bounds wins while it is in force, and leaves nothing behind") {
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    PlanningWorld world;
    Begin(world, random);
    // The same pool of another daemon, with an override of up to six hours.
    PlanningWorld other;
    v1::Pool bounded = PlanningWorld::Pool("web");
    v1::BoundsOverride& bounds = *bounded.mutable_policy()->add_overrides();
    const absl::Time start = world.now() + 5 * Between(random, 12, 120) * absl::Minutes(1);
    const absl::Time end = start + 5 * Between(random, 2, 72) * absl::Minutes(1);
    *bounds.mutable_start_time() = ToProto(start);
    *bounds.mutable_end_time() = ToProto(end);
    const int most = Between(random, 0, 12);
    bounds.set_max_shadow_instances(most);
    bounds.set_min_shadow_instances(Between(random, 0, most));
    other.Create(bounded);
    other.demand["web"] = world.demand["web"];
    other.ImportHistory("web", 3 * kDay);
    INFO("seed " << seed << ": " << bounds.min_shadow_instances() << " to " << most << " from "
                 << start << " to " << end);
    while (world.now() < end + absl::Hours(2)) {
      world.Run(PlanningWorld::kStep);
      other.Run(PlanningWorld::kStep);
      const ShadowTargets targets = other.Targets("web");
      if (world.now() < start - absl::Minutes(15)) {
        REQUIRE(targets == world.Targets("web"));
      } else if (world.now() >= start && world.now() < end) {
        REQUIRE(targets.instances >= bounds.min_shadow_instances());
        REQUIRE(targets.instances <= most);
      }
    }
    CHECK(other.Targets("web") == world.Targets("web"));
  }
}

TEST_CASE("a person's target wins until it expires, and the planner has it back then") {
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    PlanningWorld world;
    Begin(world, random);
    world.Create(PlanningWorld::Pool("held"));
    world.demand["held"] = world.demand["web"];
    world.ImportHistory("held", 3 * kDay);
    world.Run(5 * Between(random, 0, 200) * absl::Minutes(1));
    if (world.Targets("held").instances == 0) {
      v1::CreateShadowPoolRequest create = CreateShadow(50);
      create.set_pool("pools/held");
      world.Insist(create);
    }
    const auto& shadows = world.simulation.world().pools.at("held").shadows;
    v1::UpdateShadowPoolRequest resize;
    resize.mutable_shadow_pool()->set_name(shadows.begin()->second.record.shadow().name());
    resize.mutable_shadow_pool()->set_target_instances(Between(random, 1, 15));
    const absl::Duration hold = 5 * Between(random, 1, 100) * absl::Minutes(1);
    *resize.mutable_hold_duration() = ToProto(hold);
    world.Insist(resize);
    const ShadowTargets by_hand = world.Targets("held");
    const absl::Time until = world.now() + hold;
    INFO("seed " << seed << ": " << by_hand.instances << " held for " << hold);
    const auto moved = [&] { return world.now() < until && world.Targets("held") != by_hand; };
    CHECK_FALSE(world.RunUntil(moved, hold));
    world.Run(absl::Hours(2));
    CHECK(world.Targets("held") == world.Targets("web"));
  }
}

TEST_CASE("every recorded decision is decided again from its own inputs") {
  std::map<int, int> reasons;  // How often each decided.
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    PlanningWorld world(Between(random, 3, 30));
    for (const std::string id : {"one", "two", "watched"}) {
      v1::Pool pool = PlanningWorld::Pool(id);
      pool.mutable_balancer()->mutable_haproxy()->set_socket_path("/run/haproxy.sock");
      pool.mutable_balancer()->mutable_haproxy()->set_backend(id);
      v1::Policy& policy = *pool.mutable_policy();
      if (id == "watched") policy.set_mode(v1::Policy::OBSERVE);
      policy.set_priority(Between(random, 0, 2));
      policy.set_min_shadow_instances(Between(random, 0, 1));
      *policy.mutable_look_ahead() = ToProto(absl::Hours(Between(random, 0, 2)));
      world.Create(pool);
      world.demand[id] = RandomShape(random);
      if (random() % 3 != 0) world.ImportHistory(id, 2 * kDay);
    }
    for (int phase = 0; phase < 12; ++phase) {
      const std::string id = random() % 2 == 0 ? "one" : "two";
      if (random() % 3 == 0) {
        world.demand.erase(id);
      } else {
        world.demand[id] = RandomShape(random);
      }
      world.simulation.balancers["pools/" + id].SetBackend(Between(random, 0, 9), {}, {});
      world.Run(5 * Between(random, 1, 40) * absl::Minutes(1));
    }
    for (const D& decision : world.decisions()) {
      const D again = Decide(decision.kind(), decision.inputs(), FromProto(decision.time()));
      ++reasons[decision.reasons(0)];
      INFO("seed " << seed << ": " << decision.ShortDebugString());
      REQUIRE(again.target_instances() == decision.target_instances());
      REQUIRE(again.target_active() == decision.target_active());
      REQUIRE(again.target_activation_level() == decision.target_activation_level());
      REQUIRE(again.ready_need() == decision.ready_need());
      REQUIRE(std::equal(again.reasons().begin(), again.reasons().end(), decision.reasons().begin(),
                         decision.reasons().end()));
    }
  }
  CHECK(reasons.size() >= 8);
}

}  // namespace shadow
