// What the core costs: a tick, a decision, a forecast. Target: a tick of 1,000 pools in 100 ms.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "forecast/forecaster.h"
#include "server/core/loop/planning.h"
#include "server/core/planner.h"
#include "tests/bench/core_world.h"

namespace shadow::bench {
namespace {

using Steady = std::chrono::steady_clock;

double SecondsSince(Steady::time_point begin) {
  return std::chrono::duration<double>(Steady::now() - begin).count();
}

// Of all iterations, in ms: the library itself only tells their mean.
void ReportQuantiles(benchmark::State& state, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) {
    return 1e3 * seconds[static_cast<size_t>(share * static_cast<double>(seconds.size() - 1))];
  };
  state.counters["median_ms"] = at(0.5);
  state.counters["p99_ms"] = at(0.99);
}

// Every pool is due: its step is closed, SIZE and LEVEL are decided, its batch is built.
void TickOfAllPools(benchmark::State& state) {
  CoreWorld world(static_cast<int>(state.range(0)));
  std::vector<double> seconds;
  for (auto _ : state) {
    world.AdvanceStep();
    const auto begin = Steady::now();
    const Ready ready = world.Tick();
    seconds.push_back(SecondsSince(begin));
    state.SetIterationTime(seconds.back());
    world.Settle(ready);
    world.Rest();
  }
  ReportQuantiles(state, std::move(seconds));
}
// A fixed number of ticks: else the library would make the pools anew to find one.
BENCHMARK(TickOfAllPools)->Unit(benchmark::kMillisecond)->UseManualTime()->Arg(10)->Iterations(60);
BENCHMARK(TickOfAllPools)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Arg(1000)
    ->Iterations(60);

// The snapshot after a tick that changed every pool.
void SnapshotOfAllPools(benchmark::State& state) {
  CoreWorld world(static_cast<int>(state.range(0)));
  std::vector<double> seconds;
  for (auto _ : state) {
    world.AdvanceStep();
    world.Settle(world.Tick());
    const auto begin = Steady::now();
    benchmark::DoNotOptimize(world.loop().TakeSnapshot({}, {}));
    seconds.push_back(SecondsSince(begin));
    state.SetIterationTime(seconds.back());
  }
  ReportQuantiles(state, std::move(seconds));
}
BENCHMARK(SnapshotOfAllPools)->Unit(benchmark::kMillisecond)->UseManualTime()->Arg(10);
BENCHMARK(SnapshotOfAllPools)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Arg(1000)
    ->Iterations(30);

// The snapshot while nothing changes: the price of every wake-up of the control thread.
void SnapshotUnchanged(benchmark::State& state) {
  CoreWorld world(static_cast<int>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(world.loop().TakeSnapshot({}, {}));
}
BENCHMARK(SnapshotUnchanged)->Unit(benchmark::kMicrosecond)->Arg(10);
BENCHMARK(SnapshotUnchanged)->Unit(benchmark::kMicrosecond)->Arg(1000)->Iterations(300);

void PlannerDecide(benchmark::State& state) {
  v1::Decision::Inputs inputs;
  inputs.mutable_usage()->set_demand(180);
  inputs.set_trust(v1::TRUSTED);
  inputs.set_planned_instances(5);
  inputs.set_activation_quantile(240);
  inputs.set_base_capacity(100);
  inputs.set_instance_capacity(50);
  inputs.set_headroom(1.1);
  inputs.set_max_shadow_instances(100);
  inputs.set_mode(v1::Policy::AUTOMATIC);
  inputs.set_sizing(v1::Policy::PREDICTIVE);
  for (auto _ : state) {
    benchmark::DoNotOptimize(Decide(v1::Decision::SIZE, inputs, absl::UnixEpoch()));
  }
}
BENCHMARK(PlannerDecide);

// 15 days of history, in steps of 5 minutes.
std::unique_ptr<Forecaster> LearnedForecaster() {
  auto forecaster =
      MakeForecaster({.step = kStep, .season_lengths = {absl::Hours(24), absl::Hours(168)}});
  for (int step = 0; step < kHistorySteps; ++step) {
    const absl::Time time = absl::UnixEpoch() + step * kStep;
    if (!forecaster->Update(time, DemandAt(time, 0)).ok()) return nullptr;
  }
  return forecaster;
}

void ForecasterUpdate(benchmark::State& state) {
  const auto forecaster = LearnedForecaster();
  for (auto _ : state) {
    const absl::Time time = forecaster->LastStep() + kStep;
    benchmark::DoNotOptimize(forecaster->Update(time, DemandAt(time, 0)));
  }
}
BENCHMARK(ForecasterUpdate);

void ForecasterForecast(benchmark::State& state) {
  const auto forecaster = LearnedForecaster();
  const int steps = static_cast<int>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(forecaster->Forecast(steps, {0.99}));
}
BENCHMARK(ForecasterForecast)->Arg(1)->Arg(12)->Arg(288);

void ForecasterTrust(benchmark::State& state) {
  const auto forecaster = LearnedForecaster();
  for (auto _ : state) benchmark::DoNotOptimize(forecaster->Trust());
}
BENCHMARK(ForecasterTrust);

void ForecasterSave(benchmark::State& state) {
  const auto forecaster = LearnedForecaster();
  for (auto _ : state) benchmark::DoNotOptimize(forecaster->Save());
}
BENCHMARK(ForecasterSave)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace shadow::bench
