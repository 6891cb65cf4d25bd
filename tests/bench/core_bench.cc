// What the core costs: a cycle of all pools, a decision, a forecast. Target: a cycle of 10,000 warm
// pools in 1 s on two cores.
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
  state.counters["max_ms"] = at(1);
}

constexpr int kCycles = 24;          // Two hours: refreshes, saves and fits are due.
constexpr int kFollowingTicks = 32;  // After each; fits would go on for minutes.

// A cycle: every pool's step closes, its plan is made, SIZE and LEVEL are decided, the batch is
// built. `following_max_ms`: the longest of the ticks that follow at once, of fits and saves.
void CycleOfAllPools(benchmark::State& state) {
  CoreWorld world(static_cast<int>(state.range(0)), static_cast<unsigned>(state.range(1)));
  std::vector<double> seconds;
  absl::Duration following;
  for (auto _ : state) {
    world.AdvanceStep();
    const auto begin = Steady::now();
    const Ready ready = world.Tick();
    seconds.push_back(SecondsSince(begin));
    state.SetIterationTime(seconds.back());
    world.Settle(ready);
    following = std::max(following, world.Rest(kFollowingTicks));
  }
  ReportQuantiles(state, std::move(seconds));
  state.counters["following_max_ms"] = absl::ToDoubleMilliseconds(following);
}
// Fixed numbers of iterations: else the library would make the pools anew to find one.
BENCHMARK(CycleOfAllPools)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->ArgNames({"pools", "threads"})
    ->Args({10, 1})
    ->Args({1000, 1})
    ->Args({10'000, 1})
    ->Args({10'000, 2})
    ->Iterations(kCycles);

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
BENCHMARK(SnapshotOfAllPools)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Arg(10)
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
