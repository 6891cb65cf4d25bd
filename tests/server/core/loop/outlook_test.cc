// The quantile by which levels are decided ahead of the demand, at any step.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "server/core/loop/demand.h"
#include "tests/server/core/scenario/planning_world.h"

namespace shadow {
namespace {

constexpr int kImportMost = 100'000;  // Samples of one request.

// A pool that wakes instances two steps ahead.
struct OutlookWorld {
  explicit OutlookWorld(absl::Duration pool_step) : step(pool_step) {
    v1::CreatePoolRequest create;
    *create.mutable_pool() = SteppedPool("web", step);
    *create.mutable_pool()->mutable_policy()->mutable_activation_lead() = ToProto(2 * step);
    REQUIRE(simulation.Call(CreateDna()).ok());
    REQUIRE(simulation.Call(create).ok());
  }

  // A sample for each step that begins in [begin, end).
  void Import(absl::Time begin, absl::Time end) {
    v1::ReportUsageBatchRequest request;
    request.set_pool(kPool);
    for (absl::Time time = begin; time < end; time += step) {
      v1::Sample& sample = *request.add_samples();
      *sample.mutable_time() = ToProto(time);
      sample.set_value(DemandAt(demand, time));
      if (request.samples_size() < kImportMost) continue;
      REQUIRE(simulation.Call(request).ok());
      request.clear_samples();
    }
    REQUIRE(simulation.Call(request).ok());
  }

  // A level, by what is known now.
  void Decide() {
    v1::AnalyzePoolUsageRequest analyze;
    analyze.set_pool(kPool);
    REQUIRE(simulation.Call(analyze).ok());
  }

  const PoolEntry& pool() const { return simulation.world().pools.at("web"); }
  const v1::Decision& level() const {
    return pool().planning.last_decisions.at(v1::Decision::LEVEL);
  }
  absl::Time now() const { return simulation.now().wall; }

  // The highest of the last of `quantiles`, from the step of the decision to the end of the lead.
  double Highest(const std::vector<double>& quantiles) const {
    const absl::Time begin = StepStart(FromProto(level().time()), step);
    const int64_t first = (begin - pool().forecaster->LastStep()) / step;
    const auto rows = pool().forecaster->ForecastAt({.first = first, .rows = 3}, quantiles);
    REQUIRE(rows.ok());
    double highest = 0;
    for (const std::vector<double>& row : *rows) highest = std::max(highest, row.back());
    return highest;
  }

  void CheckDecided() const {
    const v1::Decision::Inputs& inputs = level().inputs();
    REQUIRE(inputs.has_activation_quantile());
    CHECK(FromProto(inputs.activation_lead()) == 2 * step);
    const double asked = inputs.service_level();
    CHECK(inputs.activation_quantile() == Highest({asked}));
    CHECK(inputs.activation_quantile() == Highest({0.5, 0.9, asked}));
  }

  Simulation simulation;
  absl::Duration step;
  DemandShape demand = {.kind = DemandShape::Kind::kDay, .low = 60, .high = 240, .noise = 10};
};

TEST_CASE("a level is decided by the quantile that is forecast when it is asked alone") {
  for (const absl::Duration step : {absl::Seconds(1), absl::Seconds(10), absl::Minutes(1),
                                    absl::Minutes(5), absl::Minutes(30), absl::Hours(1)}) {
    INFO(absl::FormatDuration(step));
    OutlookWorld world(step);
    const absl::Time now = world.now();
    const absl::Time young = now - absl::Hours(6 * 24 + 12);
    world.Import(now - absl::Hours(7 * 24), young);
    world.Decide();
    CHECK_FALSE(world.level().inputs().has_activation_quantile());  // Before the first fit.

    world.Import(young, now);
    world.Decide();
    world.CheckDecided();

    world.Import(now, now + step);  // Whose end decides once more, in a tick.
    world.simulation.Run(1.5 * step);
    CHECK(FromProto(world.level().time()) >= now + step);
    world.CheckDecided();
  }
}

}  // namespace
}  // namespace shadow
