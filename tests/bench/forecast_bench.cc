// Cost of the forecasting engine: 15 days of steps of 5 minutes, days and weeks.
#include <benchmark/benchmark.h>

#include <cmath>
#include <random>

#include "forecast/engine.h"

namespace shadow {
namespace {

constexpr int64_t kHistorySteps = 15 * 288;
constexpr int kAheadSteps = 288;
const std::vector<double> kQuantiles = {0.5, 0.8, 0.9, 0.95, 0.99};
const Forecaster::Options kOptions = {.step = absl::Minutes(5),
                                      .season_lengths = {absl::Hours(24), absl::Hours(168)}};

absl::Time StepTime(int64_t step) { return absl::FromUnixSeconds(step * 300); }

// A day and a week with noise.
std::vector<double> Demand(int64_t steps) {
  std::mt19937 random(1);
  std::normal_distribution<double> noise(0, 5);
  std::vector<double> values;
  for (int64_t step = 0; step < steps; ++step) {
    const double day = 2 * M_PI * static_cast<double>(step) / 288;
    const double week = (step / 288 + 3) % 7 < 5 ? 1 : 0.6;
    values.push_back(std::max(0.0, week * (100 - 60 * std::cos(day)) + noise(random)));
  }
  return values;
}

void Feed(Engine& engine, const std::vector<double>& values) {
  for (size_t step = 0; step < values.size(); ++step) {
    engine.Update(StepTime(static_cast<int64_t>(step)), values[step]).IgnoreError();
  }
}

// All updates, the fit and the first forecast.
void ColdFit(benchmark::State& state) {
  const std::vector<double> values = Demand(kHistorySteps);
  for (auto _ : state) {
    Engine engine(kOptions);
    Feed(engine, values);
    benchmark::DoNotOptimize(engine.Forecast(kAheadSteps, kQuantiles));
    state.counters["StateBytes"] = static_cast<double>(engine.StateBytes());
    state.counters["SavedBytes"] = static_cast<double>(engine.Save().size());
  }
}
BENCHMARK(ColdFit)->Unit(benchmark::kMillisecond);

// With a model that follows, as after a forecast.
void Update(benchmark::State& state) {
  const std::vector<double> values = Demand(kHistorySteps);
  Engine engine(kOptions);
  Feed(engine, values);
  int64_t step = kHistorySteps;
  engine.Forecast(1, kQuantiles).IgnoreError();
  for (auto _ : state) {
    const double value = values[static_cast<size_t>(step % kHistorySteps)];
    benchmark::DoNotOptimize(engine.Update(StepTime(step++), value));
  }
}
BENCHMARK(Update);

// Of a model that is fitted.
void WarmForecast(benchmark::State& state) {
  Engine engine(kOptions);
  Feed(engine, Demand(kHistorySteps));
  for (auto _ : state) benchmark::DoNotOptimize(engine.Forecast(kAheadSteps, kQuantiles));
  state.counters["StateBytes"] = static_cast<double>(engine.StateBytes());
}
BENCHMARK(WarmForecast)->Unit(benchmark::kMicrosecond);

// What a tick asks for: a few steps, two quantiles.
void ShortForecast(benchmark::State& state) {
  Engine engine(kOptions);
  Feed(engine, Demand(kHistorySteps));
  const std::vector<double> quantiles = {0.5, 0.95};
  const auto steps = static_cast<int>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(engine.Forecast(steps, quantiles));
}
BENCHMARK(ShortForecast)->Arg(3)->Arg(11)->Unit(benchmark::kMicrosecond);

// 30 days of history, as many as are kept.
void FullState(benchmark::State& state) {
  Engine engine(kOptions);
  Feed(engine, Demand(2 * kHistorySteps + 288));
  engine.Forecast(kAheadSteps, kQuantiles).IgnoreError();
  for (auto _ : state) benchmark::DoNotOptimize(engine.Save());
  state.counters["StateBytes"] = static_cast<double>(engine.StateBytes());
}
BENCHMARK(FullState)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace shadow
