// Values known beforehand, and what the contract of forecaster.h promises.
#include <catch2/catch.hpp>
#include <limits>

#include "tests/forecast/series.h"

namespace shadow::testing {
namespace {

const std::vector<double> kValueQuantiles = {0.05, 0.5, 0.95, 0.99};

TEST_CASE("constant in, constant out, at every quantile") {
  const auto forecaster = Fed(3 * kDay, [](int64_t) { return 42.0; });
  const auto rows = forecaster->Forecast(50, kValueQuantiles);
  REQUIRE(rows.ok());
  REQUIRE(rows->size() == 50);
  for (const auto& row : *rows) {
    for (const double value : row) CHECK(value == Approx(42));
  }
}

TEST_CASE("a pattern that repeats exactly is forecast exactly") {
  // Hand-computed: step i of a day is 10 x (i % 288).
  const auto forecaster =
      Fed(4 * kDay, [](int64_t i) { return 10.0 * static_cast<double>(i % kDay); });
  const auto rows = forecaster->Forecast(kDay, {0.5});
  REQUIRE(rows.ok());
  CHECK((*rows)[0][0] == Approx(0).margin(1e-6));
  CHECK((*rows)[1][0] == Approx(10));
  CHECK((*rows)[144][0] == Approx(1440));
  CHECK((*rows)[287][0] == Approx(2870));
}

TEST_CASE("twice the demand is twice the forecast") {
  const auto once = Fed(5 * kDay, Daily)->Forecast(100, kValueQuantiles);
  const auto twice =
      Fed(5 * kDay, [](int64_t i) { return 2 * Daily(i); })->Forecast(100, kValueQuantiles);
  REQUIRE(once.ok());
  REQUIRE(twice.ok());
  for (size_t step = 0; step < once->size(); ++step) {
    for (size_t q = 0; q < kValueQuantiles.size(); ++q) {
      CHECK((*twice)[step][q] == Approx(2 * (*once)[step][q]).margin(1e-9));
    }
  }
}

TEST_CASE("quantiles never cross and demand is never negative") {
  const auto forecaster = Fed(4 * kDay, [](int64_t i) { return i % 13 == 0 ? 50.0 : 0.0; });
  const auto rows = forecaster->Forecast(600, {0.001, 0.05, 0.5, 0.95, 0.999});
  REQUIRE(rows.ok());
  for (const auto& row : *rows) {
    CHECK(row[0] >= 0);
    for (size_t q = 1; q < row.size(); ++q) CHECK(row[q - 1] <= row[q]);
  }
}

TEST_CASE("nine of ten steps of an unseen day lie in the 0.05 to 0.95 band") {
  const auto forecaster = Fed(10 * kDay, Daily);
  const auto rows = forecaster->Forecast(kDay, {0.05, 0.95});
  REQUIRE(rows.ok());
  int inside = 0;
  for (int64_t step = 0; step < kDay; ++step) {
    const double actual = Daily(10 * kDay + step);
    const auto& row = (*rows)[static_cast<size_t>(step)];
    inside += actual >= row[0] && actual <= row[1];
  }
  CHECK(inside >= 230);  // 0.8 of 288: the band is honest, if not exact.
}

TEST_CASE("a gap changes nothing after it that it should not") {
  const auto whole = Fed(6 * kDay, Daily);
  auto gappy = MakeForecaster(kOptions);
  for (int64_t i = 0; i < 6 * kDay; ++i) {
    if (i >= 2 * kDay && i < 2 * kDay + 20) continue;  // Left out: missing.
    REQUIRE(gappy->Update(StepTime(i), Daily(i)).ok());
  }
  CHECK(gappy->SampleCount() == 6 * kDay - 20);
  CHECK(gappy->LastStep() == whole->LastStep());
  const auto a = whole->Forecast(50, {0.5});
  const auto b = gappy->Forecast(50, {0.5});
  REQUIRE(a.ok());
  REQUIRE(b.ok());
  for (size_t step = 0; step < 50; ++step)
    CHECK((*b)[step][0] == Approx((*a)[step][0]).epsilon(0.1));
}

TEST_CASE("updates and forecasts that cannot be are refused") {
  auto forecaster = MakeForecaster(kOptions);
  CHECK(absl::IsFailedPrecondition(forecaster->Forecast(1, {0.5}).status()));
  CHECK(forecaster->LastStep() == absl::InfinitePast());
  REQUIRE(forecaster->Update(StepTime(10), 1).ok());
  CHECK(absl::IsOutOfRange(forecaster->Update(StepTime(10), 1)));
  CHECK(absl::IsOutOfRange(forecaster->Update(StepTime(9), 1)));
  CHECK(absl::IsInvalidArgument(forecaster->Update(StepTime(11) + absl::Seconds(1), 1)));
  CHECK(absl::IsInvalidArgument(forecaster->Update(StepTime(11), -1)));
  CHECK(absl::IsInvalidArgument(
      forecaster->Update(StepTime(11), std::numeric_limits<double>::infinity())));
  CHECK(forecaster->Update(StepTime(11), std::numeric_limits<double>::quiet_NaN()).ok());
  CHECK(absl::IsInvalidArgument(forecaster->Forecast(0, {0.5}).status()));
  CHECK(absl::IsInvalidArgument(forecaster->Forecast(2017, {0.5}).status()));
  CHECK(absl::IsInvalidArgument(forecaster->Forecast(1, {}).status()));
  CHECK(absl::IsInvalidArgument(forecaster->Forecast(1, {0.9, 0.5}).status()));
  CHECK(absl::IsInvalidArgument(forecaster->Forecast(1, {1.0}).status()));
  CHECK(forecaster->SampleCount() == 1);
}

TEST_CASE("trust comes with two seasons and goes with a pattern that is not there") {
  CHECK(Fed(kDay, Daily)->Trust().trust == ForecastTrust::kTooLittleData);
  CHECK(Fed(4 * kDay, Daily)->Trust().trust == ForecastTrust::kTrusted);
  const auto stale = Fed(4 * kDay, Daily);
  for (int64_t i = 0; i < 10; ++i) {
    REQUIRE(stale->Update(StepTime(4 * kDay + i), std::numeric_limits<double>::quiet_NaN()).ok());
  }
  CHECK(stale->Trust().trust == ForecastTrust::kStale);
  CHECK_FALSE(stale->Trust().reason.empty());
}

}  // namespace
}  // namespace shadow::testing
