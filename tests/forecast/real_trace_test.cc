// On a real trace, against what users would pick instead.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "forecast/experts/young.h"
#include "tests/forecast/series.h"

namespace shadow::testing {
namespace {

constexpr int64_t kDaySteps = 48;
constexpr int64_t kWeekSteps = 7 * kDaySteps;
constexpr int64_t kFirstOrigin = 10 * kDaySteps;
const std::vector<double> kQuantiles = {0.5, 0.8, 0.9, 0.95, 0.99};

absl::Time StepOf(int64_t index) {
  return absl::FromUnixSeconds(1'633'392'000) + index * absl::Minutes(30);  // 2021-10-05
}

double Pinball(double actual, double forecast, double quantile) {
  const double short_by = actual - forecast;
  return short_by >= 0 ? quantile * short_by : (quantile - 1) * short_by;
}

// Weekly seasonal naive: last week's value plus the quantiles of what that missed so far.
std::vector<double> NaiveRow(const std::vector<double>& trace, int64_t origin, int64_t step) {
  std::vector<float> misses;
  for (int64_t i = kWeekSteps; i < origin; ++i) {
    misses.push_back(static_cast<float>(trace[static_cast<size_t>(i)] -
                                        trace[static_cast<size_t>(i - kWeekSteps)]));
  }
  std::sort(misses.begin(), misses.end());
  std::vector<double> row;
  for (const double quantile : kQuantiles) {
    row.push_back(trace[static_cast<size_t>(step - kWeekSteps)] + OrderStatistic(misses, quantile));
  }
  return row;
}

struct Losses {
  double own = 0;
  double naive = 0;
};

// Summed over the quantiles and the `steps` steps from `origin` on.
Losses LossesAt(const Forecaster& forecaster, const std::vector<double>& trace, int64_t origin,
                int64_t steps) {
  const auto rows = forecaster.Forecast(static_cast<int>(steps), kQuantiles);
  REQUIRE(rows.ok());
  Losses losses;
  for (int64_t h = 0; h < steps; ++h) {
    const double actual = trace[static_cast<size_t>(origin + h)];
    const std::vector<double> naive = NaiveRow(trace, origin, origin + h);
    for (size_t q = 0; q < kQuantiles.size(); ++q) {
      losses.own += Pinball(actual, (*rows)[static_cast<size_t>(h)][q], kQuantiles[q]);
      losses.naive += Pinball(actual, naive[q], kQuantiles[q]);
    }
  }
  return losses;
}

TEST_CASE("on the bundled trace it loses less than weekly seasonal naive, near and far") {
  const std::vector<double> trace = Trace();
  REQUIRE(trace.size() == 16 * kDaySteps);
  auto forecaster = MakeForecaster(
      {.step = absl::Minutes(30), .season_lengths = {absl::Hours(24), absl::Hours(168)}});
  Losses day;
  Losses near;
  for (int64_t i = 0; i < 15 * kDaySteps; ++i) {
    if (i >= kFirstOrigin && i % 6 == 0) {  // Every three hours.
      const Losses far = LossesAt(*forecaster, trace, i, kDaySteps);
      day.own += far.own;
      day.naive += far.naive;
      const Losses two_hours = LossesAt(*forecaster, trace, i, kDaySteps / 12);
      near.own += two_hours.own;
      near.naive += two_hours.naive;
    }
    REQUIRE(forecaster->Update(StepOf(i), trace[static_cast<size_t>(i)]).ok());
  }
  INFO("a day ahead: " << day.own / day.naive << ", two hours: " << near.own / near.naive);
  CHECK(day.own < day.naive);
  CHECK(near.own < 0.7 * near.naive);
}

}  // namespace
}  // namespace shadow::testing
