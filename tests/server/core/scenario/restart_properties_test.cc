// A daemon that is killed again and again wants the same, step by step, as one that never was.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>

#include "tests/server/core/scenario/planning_world.h"

namespace shadow {
namespace {

constexpr int kSteps = 180;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr unsigned kSeeds = 1;
#else
constexpr unsigned kSeeds = 5;
#endif

}  // namespace

TEST_CASE("a daemon killed at random inputs has the targets of one never killed, but for a step") {
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    std::mt19937 random(seed);
    DemandShape shape{.kind = DemandShape::Kind::kDay,
                      .low = 60,
                      .high = 120.0 + static_cast<double>(random() % 300),
                      .noise = static_cast<double>(random() % 30),
                      .seed = seed};
    PlanningWorld steady;
    PlanningWorld killed;
    for (PlanningWorld* world : {&steady, &killed}) {
      v1::Pool pool = PlanningWorld::Pool("web");
      // So often that what a restart does to its phase is over when the step is looked at.
      *pool.mutable_policy()->mutable_activation_interval() = ToProto(absl::Seconds(30));
      world->Create(pool);
      world->demand["web"] = shape;
      world->ImportHistory("web", absl::Hours(72));
      world->Run(absl::Hours(6) + absl::Minutes(4));
    }
    int differing = 0;
    for (int step = 0; step < kSteps; ++step) {
      if (random() % 4 == 0) {
        killed.simulation.KillAfter(killed.simulation.inputs() + 1 + static_cast<int>(random() % 8),
                                    static_cast<Simulation::UnderWay>(random() % 3));
      }
      steady.Run(PlanningWorld::kStep);
      killed.Run(PlanningWorld::kStep);
      INFO("seed " << seed << ", " << killed.simulation.starts() << " starts, at "
                   << absl::FormatTime(killed.now(), absl::UTCTimeZone()) << ": "
                   << killed.Targets("web").active << " of " << killed.Targets("web").instances
                   << ", wanted " << steady.Targets("web").active << " of "
                   << steady.Targets("web").instances);
      CHECK(std::abs(killed.Targets("web").instances - steady.Targets("web").instances) <= 1);
      differing += killed.Targets("web") != steady.Targets("web");
    }
    // What a step's plan had remembered when it was lost may show for a step.
    CHECK(differing <= kSteps / 20);
    CHECK(killed.simulation.starts() > 20);
  }
}

}  // namespace shadow
