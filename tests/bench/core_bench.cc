// What the core costs: a cycle of all pools, a decision, a forecast. Targets, on two cores: 10,000
// pools of 1-minute steps, median cycle 300 ms, longest tick 500 ms; 1,000 pools of 1-second steps,
// longest tick 100 ms.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "forecast/forecaster.h"
#include "server/core/loop/planning.h"
#include "server/core/planner.h"
#include "server/core/time_proto.h"
#include "tests/bench/core_world.h"

namespace shadow::bench {
namespace {

using Steady = std::chrono::steady_clock;

double SecondsSince(Steady::time_point begin) {
  return std::chrono::duration<double>(Steady::now() - begin).count();
}

// Of all iterations: the library itself only tells their mean. It writes less than 1 with a suffix
// ("123m" is 0.123), which claims.py does not read: therefore p99_us.
void ReportQuantiles(benchmark::State& state, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) {
    return 1e3 * seconds[static_cast<size_t>(share * static_cast<double>(seconds.size() - 1))];
  };
  state.counters["median_ms"] = at(0.5);
  state.counters["p99_ms"] = at(0.99);
  state.counters["p99_us"] = std::round(1e3 * at(0.99));
  state.counters["max_ms"] = at(1);
}

// Resident memory of the process.
double ResidentBytes() {
  int64_t all = 0;
  int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// A cycle: every pool's step closes, its plan is made, SIZE and LEVEL are decided and what was
// learned is saved where that is due, in as many ticks as it takes. `tick_max_ms`: the longest
// tick. Simulated time runs faster than the wall's, so each cycle waits for the fits that are due
// before the next begins, as they would be made within a step; ticks are timed while they are under
// way.
void CycleOfAllPools(benchmark::State& state) {
  CoreWorld world({.pools = static_cast<int>(state.range(0)),
                   .threads = static_cast<unsigned>(state.range(1)),
                   .step = absl::Seconds(state.range(2))});
  std::vector<double> cycles;
  double tick_max = 0;
  absl::Duration result_max;
  const int64_t fits = world.fits();
  for (auto _ : state) {
    world.AdvanceStep();
    double cycle = 0;
    while (world.Due()) {
      const auto begin = Steady::now();
      const Ready ready = world.Tick();
      const double seconds = SecondsSince(begin);
      world.Settle(ready);
      cycle += seconds;
      tick_max = std::max(tick_max, seconds);
    }
    state.SetIterationTime(cycle);
    cycles.push_back(cycle);
    result_max = std::max(result_max, world.AwaitFits());
  }
  ReportQuantiles(state, std::move(cycles));
  state.counters["tick_max_ms"] = 1e3 * tick_max;
  state.counters["result_max_ms"] = absl::ToDoubleMilliseconds(result_max);
  state.counters["fits"] = static_cast<double>(world.fits() - fits);
  state.counters["learned_MB"] = static_cast<double>(world.LearnedBytes()) / 1e6;
  state.counters["resident_MB"] = ResidentBytes() / 1e6;
}
// Fixed numbers of iterations: otherwise the library would make the pools anew to find one. Two
// hours of 1-minute steps, 20 minutes of 1-second steps: refreshes, saves and fits are due.
BENCHMARK(CycleOfAllPools)
    ->Name("CycleOfAllPools/1m")
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->ArgNames({"pools", "threads", "step_s"})
    ->Args({10, 1, 60})
    ->Args({1000, 1, 60})
    ->Args({1000, 2, 60})
    ->Args({10'000, 2, 60})
    ->Iterations(120);
BENCHMARK(CycleOfAllPools)
    ->Name("CycleOfAllPools/1s")
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->ArgNames({"pools", "threads", "step_s"})
    ->Args({1000, 2, 1})
    ->Iterations(1200);

// The snapshot after a tick that changed every pool.
void SnapshotOfAllPools(benchmark::State& state) {
  CoreWorld world({.pools = static_cast<int>(state.range(0))});
  std::vector<double> seconds;
  for (auto _ : state) {
    world.AdvanceStep();
    while (world.Due()) world.Settle(world.Tick());
    const auto begin = Steady::now();
    benchmark::DoNotOptimize(world.loop().TakeSnapshot());
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
  CoreWorld world({.pools = static_cast<int>(state.range(0))});
  for (auto _ : state) benchmark::DoNotOptimize(world.loop().TakeSnapshot());
}
BENCHMARK(SnapshotUnchanged)->Unit(benchmark::kMicrosecond)->Arg(10);
BENCHMARK(SnapshotUnchanged)->Unit(benchmark::kMicrosecond)->Arg(1000)->Iterations(300);

// What a sample of one pool costs the control thread among many: the command, the snapshot that
// shows it, and a look at the pool in that.
void ReportUsageCommand(benchmark::State& state) {
  const int pools = static_cast<int>(state.range(0));
  CoreWorld world({.pools = pools, .step = absl::Minutes(1)});
  world.AdvanceStep();
  while (world.Due()) world.Settle(world.Tick());
  std::vector<double> seconds;
  int report = 0;
  for (auto _ : state) {
    v1::ReportUsageBatchRequest request;
    request.set_pool(absl::StrCat("pools/web-", report % pools));
    v1::Sample& sample = *request.add_samples();
    *sample.mutable_time() = ToProto(world.now().wall + ++report * absl::Microseconds(1));
    sample.set_value(100);
    const auto begin = Steady::now();
    const ControlLoop::Handled handled = world.loop().Handle(request, world.now());
    const auto snapshot = world.loop().TakeSnapshot();
    const auto found = snapshot->pools.find(request.pool());
    benchmark::DoNotOptimize(world.loop().NextTick());
    seconds.push_back(SecondsSince(begin));
    state.SetIterationTime(seconds.back());
    if (!handled.answer.ok() || found == snapshot->pools.end()) {
      state.SkipWithError("the sample was not taken");
      break;
    }
  }
  ReportQuantiles(state, std::move(seconds));
}
BENCHMARK(ReportUsageCommand)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Arg(10)
    ->Arg(10'000)
    ->Iterations(2000);

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
