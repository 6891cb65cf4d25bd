// Whether a forecast is trusted: by what it costs.
#include "forecast/mixture/trust.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <random>

#include "absl/time/time.h"
#include "forecast/forecaster.h"

namespace shadow::testing {
namespace {

// Trust in a forecast of `days` days of `value` by time of day, at a step.
ForecastTrust TrustIn(absl::Duration step, int days, const std::function<double(int64_t)>& value) {
  auto forecaster =
      MakeForecaster({.step = step, .season_lengths = {absl::Hours(24), absl::Hours(168)}});
  const int64_t steps = days * (absl::Hours(24) / step);
  for (int64_t i = 0; i < steps; ++i) {
    REQUIRE(forecaster->Update(absl::UnixEpoch() + i * step, value(i)).ok());
  }
  return forecaster->Trust().trust;
}

TEST_CASE("a forecast that is off by a hair is trusted, at any step") {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> noise(-1, 1);
  for (const absl::Duration step : {absl::Minutes(1), absl::Minutes(5), absl::Hours(1)}) {
    for (const double amount : {0.0, 0.0001, 0.01, 1.0}) {
      INFO(step << ", noise " << amount);
      const auto day = static_cast<double>(absl::Hours(24) / step);
      CHECK(TrustIn(step, 15, [&](int64_t i) {
              const double hour = 24 * std::fmod(static_cast<double>(i), day) / day;
              return (hour > 9 && hour < 17 ? 300 : 100) + 10 * hour + amount * noise(random);
            }) == ForecastTrust::kTrusted);
    }
  }
}

TEST_CASE("what a forecast costs decides whether it is trusted, not how many times a hair") {
  const auto fill = [](ExpertLoss& loss, double value) {
    loss.whole.fill(value);
    loss.plain.fill(value);
    loss.recent.fill(value);
  };
  for (const size_t empty : {size_t{0}, size_t{2}}) {  // A coarse grid has no shortest leads.
    TrustInput input;
    fill(input.own, 0.0001);
    for (ExpertLoss& loss : input.experts) fill(loss, 0);
    const auto forget = [&] {
      for (size_t b = 0; b < empty; ++b) {
        input.own.recent[b] = std::nan("");
        for (ExpertLoss& loss : input.experts) loss.recent[b] = std::nan("");
      }
    };
    forget();
    CHECK(Judge(input).trust == ForecastTrust::kTrusted);  // A ten-thousandth, against nothing.
    fill(input.own, 0.024);
    forget();
    CHECK(Judge(input).trust == ForecastTrust::kTrusted);  // Not 0.01 x 5 / 2.
    fill(input.own, 0.026);
    forget();
    CHECK(Judge(input).trust == ForecastTrust::kWorseThanNaive);
    for (ExpertLoss& loss : input.experts) fill(loss, 0.5);
    fill(input.own, 0.5 * 1.1 + 0.024);
    forget();
    CHECK(Judge(input).trust == ForecastTrust::kTrusted);
    fill(input.own, 0.5 * 1.1 + 0.026);
    forget();
    CHECK(Judge(input).trust == ForecastTrust::kWorseThanNaive);
  }
}

}  // namespace
}  // namespace shadow::testing
