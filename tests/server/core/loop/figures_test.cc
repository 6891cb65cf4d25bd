// What is counted of a pool for metrics.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>

#include "server/core/loop/status/pool_figures.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

// A pool in OBSERVE with an external capacity of 100, at the begin of a step of a minute.
struct FigureWorld {
  FigureWorld() {
    simulation.SetWall(absl::FromUnixSeconds(1'700'006'400));
    v1::CreatePoolRequest create;
    v1::Pool& pool = *create.mutable_pool();
    pool.set_name(kPool);
    pool.set_dna("dnas/web");
    pool.set_external_capacity(100);
    pool.set_instance_capacity(50);
    REQUIRE(simulation.Call(CreateDna()).ok());
    REQUIRE(simulation.Call(create).ok());
  }

  // One sample in the middle of a step, to the end of that step and a little further.
  void Step(double demand) {
    simulation.Run(absl::Seconds(30));
    REQUIRE(simulation.Call(Report(simulation.now().wall, demand)).ok());
    simulation.Run(absl::Seconds(30));
  }
  const PoolFigures& figures() const { return *simulation.world().pools.at("web").figures; }
  int64_t decisions() const {
    int64_t sum = 0;
    for (const auto& count : figures().decisions) sum += count;
    return sum;
  }

  Simulation simulation;
};

}  // namespace

TEST_CASE("a step is met if what serves covers its mean demand, and missed otherwise") {
  FigureWorld world;
  CHECK(std::isnan(world.figures().demand));
  world.Step(100);
  world.simulation.Run(absl::Seconds(1));
  CHECK(world.figures().steps_met == 1);
  CHECK(world.figures().steps_missed == 0);
  CHECK(world.figures().demand == 100);
  world.Step(101);
  world.Step(20);
  CHECK(world.figures().steps_met == 2);
  CHECK(world.figures().steps_missed == 1);
  CHECK(world.figures().demand == 20);
  CHECK(world.figures().needed == 0);
  CHECK(world.figures().idle_seconds == 0);  // No instance of the pool exists.
}

TEST_CASE("steps without a sample, and samples of the past, are neither met nor missed") {
  FigureWorld world;
  v1::ReportUsageBatchRequest history =
      Report(world.simulation.now().wall - absl::Minutes(90), 1000);
  for (int minute = 89; minute > 5; --minute) {
    v1::Sample& sample = *history.add_samples();
    *sample.mutable_time() = ToProto(world.simulation.now().wall - absl::Minutes(minute));
    sample.set_value(1000);
  }
  REQUIRE(world.simulation.Call(history).ok());
  world.simulation.Run(absl::Minutes(10));
  CHECK(world.figures().steps_met + world.figures().steps_missed == 0);
}

TEST_CASE("figures begin anew with the daemon, which counts no replayed step again") {
  FigureWorld world;
  for (int i = 0; i < 3; ++i) world.Step(1000);
  world.simulation.Run(absl::Seconds(1));
  REQUIRE(world.figures().steps_missed == 3);
  CHECK(world.decisions() > 0);
  world.simulation.KillAfter(world.simulation.inputs() + 1, Simulation::UnderWay::kDone);
  world.simulation.Run(absl::Seconds(5));
  CHECK(world.figures().steps_missed == 0);
  CHECK(world.figures().demand == 1000);  // As the level was decided anew.
}

TEST_CASE("readers see the figures of a pool go on in the snapshot that they have") {
  FigureWorld world;
  world.Step(100);
  const auto snapshot = world.simulation.loop().TakeSnapshot();
  const auto shown = snapshot->pools.find(kPool)->second;
  const int64_t before = shown->figures->steps_met;
  world.Step(100);
  world.Step(100);
  CHECK(shown->figures->steps_met == before + 2);
}

}  // namespace shadow
