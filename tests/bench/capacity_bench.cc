// What the capacity planner costs: a step, its state, a save. Targets: a step in 50 us at a lead of
// 2 steps and in 200 us at 60; 96 KB of state at a peak of 40 instances.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/core/capacity/capacity_planner.h"

namespace shadow::bench {
namespace {

constexpr absl::Duration kStep = absl::Minutes(5);
constexpr int kDaySteps = 288;
constexpr int kHistorySteps = 14 * kDaySteps;

absl::Time StepTime(int64_t step) { return absl::UnixEpoch() + step * kStep; }

// A day's curve with a wobble and a rare spike; 0 to 40 instances.
int NeedAt(int64_t step) {
  const double phase = 2 * M_PI * static_cast<double>(step % kDaySteps) / kDaySteps;
  const auto wobble = static_cast<int>(step * 7919 % 11) - 5;
  const int spike = step % 397 == 0 ? 12 : 0;
  const int need = static_cast<int>(15 - 10 * std::cos(phase)) + wobble + spike;
  return need < 0 ? 0 : need;
}

// What a forecaster would give: the curve itself, and 5 more for the high quantile.
struct Curve {
  Curve(int64_t step, int lead_steps) {
    for (int k = 1; k <= lead_steps + 1; ++k) {
      const double phase = 2 * M_PI * static_cast<double>((step + k) % kDaySteps) / kDaySteps;
      median.push_back(15 - 10 * std::cos(phase));
      high.push_back(median.back() + 5);
    }
  }
  LoadForecast forecast() const { return {.median = median, .high = high}; }

  std::vector<double> median;
  std::vector<double> high;
};

std::unique_ptr<CapacityPlanner> LearnedPlanner(int lead_steps) {
  auto planner = std::make_unique<CapacityPlanner>(CapacityPlanner::Options{
      .step = kStep, .lead_steps = lead_steps, .targets = {{.service_level = 0.99}}});
  for (int64_t step = 0; step < kHistorySteps; ++step) {
    const Curve curve(step, lead_steps);
    if (!planner->Observe(StepTime(step), NeedAt(step), curve.forecast()).ok()) return nullptr;
  }
  planner->Start();
  return planner;
}

// Argument: the lead in steps.
void CapacityPlannerStep(benchmark::State& state) {
  const int lead_steps = static_cast<int>(state.range(0));
  const auto planner = LearnedPlanner(lead_steps);
  int64_t step = kHistorySteps;
  for (auto _ : state) {
    state.PauseTiming();
    const Curve curve(step, lead_steps);
    state.ResumeTiming();
    benchmark::DoNotOptimize(planner->Observe(StepTime(step), NeedAt(step), curve.forecast()));
    ++step;
  }
  state.counters["state_bytes"] = static_cast<double>(planner->StateBytes());
  state.counters["saved_bytes"] = static_cast<double>(planner->Save().size());
}
BENCHMARK(CapacityPlannerStep)->Unit(benchmark::kMicrosecond)->Arg(1)->Arg(2)->Arg(4)->Arg(60);

void CapacityPlannerSave(benchmark::State& state) {
  const auto planner = LearnedPlanner(static_cast<int>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(planner->Save());
}
BENCHMARK(CapacityPlannerSave)->Unit(benchmark::kMicrosecond)->Arg(2)->Arg(60);

void CapacityPlannerRestore(benchmark::State& state) {
  const auto planner = LearnedPlanner(static_cast<int>(state.range(0)));
  const std::string saved = planner->Save();
  for (auto _ : state) benchmark::DoNotOptimize(planner->Restore(saved));
}
BENCHMARK(CapacityPlannerRestore)->Unit(benchmark::kMicrosecond)->Arg(2)->Arg(60);

// A month of 5-minute steps for five service levels side by side.
void CapacityPlannerMonth(benchmark::State& state) {
  for (auto _ : state) {
    CapacityPlanner planner({.step = kStep,
                             .lead_steps = 2,
                             .targets = {{.service_level = 0.9},
                                         {.service_level = 0.95},
                                         {.service_level = 0.98},
                                         {.service_level = 0.99},
                                         {.service_level = 0.995}}});
    for (int64_t step = 0; step < 30 * kDaySteps; ++step) {
      benchmark::DoNotOptimize(planner.Observe(StepTime(step), NeedAt(step), {}));
    }
  }
}
BENCHMARK(CapacityPlannerMonth)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace shadow::bench
