// What a pool knows right after history was imported.
#include <catch2/catch.hpp>
#include <cmath>
#include <stdexcept>
#include <string>

#include "server/core/loop/demand.h"
#include "tests/server/core/scenario/planning_world.h"

namespace shadow {
namespace {

constexpr int kBatchSamples = 100'000;

// 200 from 8:00 to 16:00 UTC, otherwise 20; and 5 % of it up and down.
double ShapeAt(absl::Time time) {
  const absl::Duration day = (time - absl::UnixEpoch()) % absl::Hours(24);
  const double level = day >= absl::Hours(8) && day < absl::Hours(16) ? 200 : 20;
  return level * (1 + 0.05 * std::sin(static_cast<double>(absl::ToUnixSeconds(time) % 9973)));
}

// 7 days of one sample a step, of which the last one begins at `last`.
void ImportWeek(Simulation& simulation, absl::Duration step, absl::Time last) {
  v1::ReportUsageBatchRequest request;
  request.set_pool("pools/web");
  const auto send = [&] {
    const Answer answer = simulation.Call(request);
    if (!answer.ok()) throw std::runtime_error(answer.status().ToString());
    request.clear_samples();
  };
  for (absl::Time time = last - absl::Hours(24 * 7) + step; time <= last; time += step) {
    v1::Sample& sample = *request.add_samples();
    *sample.mutable_time() = ToProto(time);
    sample.set_value(ShapeAt(time));
    if (request.samples_size() == kBatchSamples) send();
  }
  if (request.samples_size() > 0) send();
}

void AddPool(Simulation& simulation, absl::Duration step) {
  v1::CreatePoolRequest create;
  *create.mutable_pool() = SteppedPool("web", step);
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(create).ok());
}

v1::Forecast ForecastOf(Simulation& simulation) {
  v1::GetForecastRequest request;
  request.set_pool("pools/web");
  request.add_quantiles(0.5);
  const Answer answer = simulation.Call(request);
  if (!answer.ok()) throw std::runtime_error(answer.status().ToString());
  return static_cast<const v1::Forecast&>(**answer);
}

// The share of points whose median is within a quarter of the shape.
double ShareRight(const v1::Forecast& forecast) {
  int right = 0;
  for (const v1::Forecast::Point& point : forecast.points()) {
    const double shape = ShapeAt(FromProto(point.time()));
    right += std::abs(point.values(0) - shape) <= 0.25 * shape;
  }
  return static_cast<double>(right) / forecast.points_size();
}

}  // namespace

TEST_CASE("an import teaches at once, also one that ended many steps ago, and after a restart") {
  for (const absl::Duration step :
       {absl::Seconds(1), absl::Minutes(1), absl::Minutes(5), absl::Hours(1)}) {
    INFO(absl::FormatDuration(step));
    Simulation simulation;
    // So that also the shortest forecast reaches over the rise.
    simulation.Run(absl::Hours(24 + 7) + absl::Minutes(55));
    AddPool(simulation, step);
    const absl::Time now = StepStart(simulation.now().wall, step);
    ImportWeek(simulation, step, now - 6 * step);
    const v1::Forecast first = ForecastOf(simulation);
    CHECK(v1::Trust_Name(first.trust()) == "TRUSTED");
    CHECK(ShareRight(first) > 0.9);

    simulation.Run(absl::Seconds(1));
    simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kNotDone);
    CHECK_FALSE(simulation.Call(Report(simulation.now().wall + absl::Hours(1000), 0)).ok());
    const int starts = simulation.starts();
    const v1::Forecast again = ForecastOf(simulation);
    CHECK(simulation.starts() == starts + 1);
    CHECK(v1::Trust_Name(again.trust()) == "TRUSTED");
    CHECK(ShareRight(again) > 0.9);
  }
}

TEST_CASE("what ended more than a season ago is forecast, and called stale") {
  Simulation simulation;
  AddPool(simulation, absl::Minutes(5));
  ImportWeek(simulation, absl::Minutes(5), simulation.now().wall - absl::Hours(23));
  CHECK(v1::Trust_Name(ForecastOf(simulation).trust()) == "TRUSTED");
  simulation.Run(absl::Hours(2));
  const v1::Forecast stale = ForecastOf(simulation);
  CHECK(v1::Trust_Name(stale.trust()) == "STALE");
  CHECK(ShareRight(stale) > 0.9);
  const PoolEntry& pool = simulation.world().pools.at("web");
  const ForecastTrust verdict = pool.forecaster->Trust().trust;
  const Outlook outlook = OutlookAt(pool, simulation.now().wall, verdict, absl::Seconds(2));
  CHECK(v1::Trust_Name(outlook.trust) == "STALE");
}

}  // namespace shadow
