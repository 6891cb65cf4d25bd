// What a forecast says of itself: hand-computed spreads, coverage on a real trace, loss of trust.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "forecast/experts/young.h"
#include "tests/forecast/series.h"

namespace shadow::testing {
namespace {

TEST_CASE("before a season is over the last value goes on, with errors that grow") {
  // 10, 20, 30, 40: one step ahead the last value is off by 10; with too few errors at longer leads
  // they are stretched by the square root of the lead.
  const auto forecaster = Fed(4, [](int64_t i) { return 10.0 * static_cast<double>(i + 1); });
  const auto rows = forecaster->Forecast(4, {0.5, 0.999});
  REQUIRE(rows.ok());
  CHECK((*rows)[0][0] == Approx(50));  // 40 + 10
  CHECK((*rows)[1][1] == Approx(40 + 10 * std::sqrt(2.0)));
  CHECK((*rows)[3][1] == Approx(60));  // 40 + 10 x 2
}

TEST_CASE("on the bundled trace the quantiles cover what they say, with steps of one second") {
  const std::vector<double> trace = Trace();
  REQUIRE(trace.size() == 768);
  const std::vector<double> quantiles = {0.05, 0.5, 0.95, 0.99};
  constexpr int kAhead = 4;
  constexpr size_t kWarm = 8 * 48;
  auto forecaster = MakeForecaster(
      {.step = absl::Seconds(1), .season_lengths = {absl::Seconds(48), absl::Seconds(336)}});
  std::array<double, 4> covered{};
  double own_error = 0;
  double carried_error = 0;
  double forecasts = 0;
  for (size_t i = 0; i + kAhead < trace.size(); ++i) {
    REQUIRE(forecaster->Update(absl::FromUnixSeconds(static_cast<int64_t>(i)), trace[i]).ok());
    if (i < kWarm) continue;
    const auto rows = forecaster->Forecast(kAhead, quantiles);
    REQUIRE(rows.ok());
    const double actual = trace[i + kAhead];
    for (size_t q = 0; q < quantiles.size(); ++q) covered[q] += actual <= rows->back()[q] ? 1 : 0;
    own_error += std::abs(actual - rows->back()[1]);
    carried_error += std::abs(actual - trace[i]);
    ++forecasts;
  }
  CHECK(covered[0] / forecasts == Approx(0.05).margin(0.06));
  CHECK(covered[1] / forecasts == Approx(0.5).margin(0.1));
  CHECK(covered[2] / forecasts == Approx(0.95).margin(0.03));
  CHECK(covered[3] / forecasts == Approx(0.99).margin(0.015));
  CHECK(own_error < 0.7 * carried_error);
  CHECK(forecaster->Trust().trust == ForecastTrust::kTrusted);
}

TEST_CASE("where the season ends, what was lately is followed instead") {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> noise(-40, 40);
  auto forecaster = Fed(8 * kDay, [&](int64_t i) { return Daily(i) + 40 + noise(random); });
  REQUIRE(forecaster->Trust().trust == ForecastTrust::kTrusted);
  // From then on the demand has no season and no noise: steps that last two hours each.
  double level = 0;
  double own = 0;
  double yesterdays = 0;
  std::vector<double> levels;
  for (int64_t i = 8 * kDay; i < 11 * kDay; ++i) {
    if (i % 24 == 0) level = 140 + noise(random);
    if (i >= 10 * kDay) {
      const auto rows = forecaster->Forecast(1, {0.5});
      REQUIRE(rows.ok());
      own += std::abs((*rows)[0][0] - level);
      yesterdays += std::abs(levels[levels.size() - kDay] - level);
    }
    REQUIRE(forecaster->Update(StepTime(i), level).ok());
    levels.push_back(level);
  }
  INFO("own " << own << ", yesterday's values " << yesterdays);
  CHECK(own < 0.3 * yesterdays);
}

TEST_CASE("a series that is nearly all gaps still gives a forecast of what was seen") {
  const double missing = std::numeric_limits<double>::quiet_NaN();
  const auto forecaster = Fed(5 * kDay, [&](int64_t i) { return i == 3 ? 7.0 : missing; });
  const auto rows = forecaster->Forecast(300, {0.5});
  REQUIRE(rows.ok());
  for (const auto& row : *rows) CHECK(row[0] == Approx(7));
  CHECK(forecaster->SampleCount() == 1);
  CHECK(forecaster->Trust().trust == ForecastTrust::kTooLittleData);
}

TEST_CASE("a jump of years forward forgets the series, at once") {
  auto forecaster = Fed(3 * kDay, Daily);
  REQUIRE(forecaster->Update(StepTime(1'000'000'000), 5).ok());
  CHECK(forecaster->SampleCount() == 1);
  CHECK((*forecaster->Forecast(1, {0.5}))[0][0] >= 0);
  CHECK(absl::IsInvalidArgument(forecaster->Update(absl::InfiniteFuture(), 5)));
  CHECK(forecaster->LastStep() == StepTime(1'000'000'000));
}

TEST_CASE("any changed byte of what was saved is noticed") {
  auto forecaster = Fed(20, Daily);
  const std::string saved = forecaster->Save();
  for (size_t at = 0; at < saved.size(); at += 7) {
    std::string bytes = saved;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    INFO("byte " << at);
    CHECK(absl::IsInvalidArgument(forecaster->Restore(bytes)));
  }
  CHECK(forecaster->Restore(saved).ok());
}

}  // namespace
}  // namespace shadow::testing
