// What a replay costs. Target: a month of 5-minute demand, one pool and five policies, in 2 s on
// two cores; of its forecaster alone the fits count, which all policies share.
#include <benchmark/benchmark.h>

#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/simulation/replay.h"
#include "server/core/time_proto.h"
#include "tests/bench/core_world.h"

namespace shadow::bench {
namespace {

constexpr int kMonthSteps = 8640;

simulation::DemandSeries Month(int steps) {
  simulation::DemandSeries series{
      .begin = absl::FromUnixSeconds(1'700'006'400), .step = kStep, .values = {}};
  for (int i = 0; i < steps; ++i) {
    const absl::Time time = series.begin + i * kStep;
    series.values.push_back(4 * DemandAt(time, 0) + 30 * std::sin(i * 0.7) * std::sin(i * 0.013));
  }
  return series;
}

// `count` policies that differ in their service level; up to some 20 instances of 50.
std::vector<v1::Pool> Specs(int count) {
  std::vector<v1::Pool> specs;
  for (int i = 0; i < count; ++i) {
    v1::Pool pool;
    pool.set_name("pools/web");
    pool.set_dna("dnas/web");
    *pool.mutable_step() = ToProto(kStep);
    pool.set_external_capacity(100);
    pool.set_instance_capacity(50);
    pool.mutable_policy()->set_service_level(0.95 + 0.01 * i);
    const auto spec = simulation::ReplaySpec(pool, kStep);
    if (!spec.ok()) throw std::runtime_error(spec.status().ToString());
    specs.push_back(*spec);
  }
  return specs;
}

// Yesterday, and a tenth more for each quantile above the median: costs next to nothing.
class Yesterday final : public Forecaster {
 public:
  absl::Status Update(absl::Time step_start, double value) override {
    last_step_ = step_start;
    values_.push_back(value);
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::vector<double>>> Forecast(
      int steps, const std::vector<double>& quantiles) const override {
    std::vector<std::vector<double>> rows;
    for (int step = 0; step < steps; ++step) {
      const size_t back = values_.size() >= kDay ? kDay : 1;
      const double value = values_[values_.size() - back + static_cast<size_t>(step) % back];
      std::vector<double>& row = rows.emplace_back();
      for (const double quantile : quantiles) row.push_back(value * (0.6 + 0.8 * quantile));
    }
    return rows;
  }
  TrustVerdict Trust() const override { return {.trust = ForecastTrust::kTrusted, .reason = ""}; }
  absl::Time LastStep() const override { return last_step_; }
  int64_t SampleCount() const override { return static_cast<int64_t>(values_.size()); }
  std::string Save() const override { return ""; }
  absl::Status Restore(std::string_view /*saved*/) override {
    return absl::InvalidArgumentError("nothing was saved");
  }

 private:
  static constexpr size_t kDay = 288;
  absl::Time last_step_ = absl::InfinitePast();
  std::vector<double> values_;
};

void Replay(benchmark::State& state, simulation::ReplayOptions options) {
  const auto policies = static_cast<int>(state.range(0));
  const auto steps = static_cast<int>(state.range(1));
  const simulation::DemandSeries series = Month(steps);
  const std::vector<v1::Pool> specs = Specs(policies);
  options.leads = {.provisioning = absl::Minutes(10), .activation = absl::Seconds(2)};
  options.first_scored = static_cast<size_t>(steps) / 6;
  for (auto _ : state) {
    const auto replayed = simulation::ReplayAll(specs, series, options);
    if (!replayed.ok()) throw std::runtime_error(replayed.status().ToString());
    const simulation::Score score = ScoreOf(replayed->front().tallies, kStep);
    state.counters["hit"] = score.hit_rate;
    state.counters["created_per_day"] = score.created_per_day;
  }
}

void ReplayOfPolicies(benchmark::State& state) { Replay(state, {}); }
BENCHMARK(ReplayOfPolicies)->Unit(benchmark::kMillisecond)->Args({1, 576})->Iterations(1);
BENCHMARK(ReplayOfPolicies)->Unit(benchmark::kMillisecond)->Args({5, kMonthSteps})->Iterations(1);

// The same without what the forecaster costs: the loop alone.
void ReplayWithoutForecaster(benchmark::State& state) {
  Replay(state, {.leads = {}, .make_forecaster = [](const Forecaster::Options& /*options*/) {
                   return std::make_unique<Yesterday>();
                 }});
}
BENCHMARK(ReplayWithoutForecaster)->Unit(benchmark::kMillisecond)->Args({1, 576})->Iterations(1);
BENCHMARK(ReplayWithoutForecaster)
    ->Unit(benchmark::kMillisecond)
    ->Args({5, kMonthSteps})
    ->Iterations(1);

// The part of the forecaster: a fit when one is due, and one short forecast a step.
void ForecasterOfReplay(benchmark::State& state) {
  const simulation::DemandSeries series = Month(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    const auto forecaster =
        MakeForecaster({.step = kStep, .season_lengths = {absl::Hours(24), absl::Hours(168)}});
    for (size_t i = 0; i < series.values.size(); ++i) {
      benchmark::DoNotOptimize(forecaster->Update(series.TimeOf(i), series.values[i]));
      benchmark::DoNotOptimize(forecaster->Forecast(1, {0.99}));
    }
  }
}
BENCHMARK(ForecasterOfReplay)->Unit(benchmark::kMillisecond)->Arg(kMonthSteps)->Iterations(1);

}  // namespace
}  // namespace shadow::bench
