// What reads leave as it was.
#include <catch2/catch.hpp>
#include <string>

#include "server/core/loop/control_loop.h"
#include "server/core/loop/demand.h"
#include "tests/server/core/scenario/planning_world.h"

namespace shadow {
namespace {

// A pool whose third step has ended; no tick and no sample has come since.
struct EndedStep {
  explicit EndedStep(absl::Duration pool_step) : step(pool_step) {
    v1::CreatePoolRequest create;
    *create.mutable_pool() = SteppedPool("web", step);
    loop.Recover(At(0));
    REQUIRE(loop.Handle(CreateDna(), At(0)).answer.ok());
    REQUIRE(loop.Handle(create, At(0)).answer.ok());
    for (const double steps : {0, 1, 2}) {
      REQUIRE(loop.Handle(Report(At(steps).wall, 100), At(steps)).answer.ok());
    }
  }

  Instant At(double steps) const {
    return {.wall = absl::FromUnixSeconds(1'700'006'400) + steps * step,
            .mono = absl::Hours(1) + steps * step};
  }
  const PoolEntry& pool() const { return loop.world().pools.at("web"); }
  std::string Known() const { return pool().forecaster->Save() + pool().capacity->Save(); }

  ControlLoop loop{{}};
  absl::Duration step;
};

}  // namespace

TEST_CASE("who reads a forecast after the end of a step does not close it") {
  for (const absl::Duration step : {absl::Seconds(1), absl::Minutes(1), absl::Hours(1)}) {
    INFO(absl::FormatDuration(step));
    EndedStep world(step);
    const Instant now = world.At(3.1);
    const std::string known = world.Known();
    v1::GetForecastRequest read;
    read.set_pool(kPool);
    read.add_quantiles(0.5);
    const Answer forecast = world.loop.Handle(read, now).answer;
    REQUIRE(forecast.ok());
    const auto& points = static_cast<const v1::Forecast&>(**forecast).points();
    CHECK(FromProto(points[0].time()) == StepStart(now.wall, step));
    v1::AnalyzePoolUsageRequest analyze;
    analyze.set_pool(kPool);
    analyze.set_validate_only(true);
    REQUIRE(world.loop.Handle(analyze, now).answer.ok());
    CHECK(world.Known() == known);
    CHECK(world.pool().demand.open_step.count == 1);

    // So a sample of that step still counts.
    REQUIRE(world.loop.Handle(Report(world.At(2.5).wall, 300), now).answer.ok());
    CHECK(world.pool().demand.closed_step.start == world.At(2).wall);
    CHECK(world.pool().demand.closed_step.count == 2);
  }
}

}  // namespace shadow
