// Save and Restore: nothing is lost, and nothing foreign is taken.
#include <catch2/catch.hpp>

#include "tests/forecast/series.h"

namespace shadow::testing {
namespace {

const std::vector<double> kQuantiles = {0.1, 0.5, 0.99};

TEST_CASE("a restored forecaster forecasts the same, now and later") {
  const auto original = Fed(5 * kDay + 17, Daily);
  auto restored = MakeForecaster(kOptions);
  REQUIRE(restored->Restore(original->Save()).ok());
  CHECK(restored->LastStep() == original->LastStep());
  CHECK(restored->SampleCount() == original->SampleCount());
  CHECK(*restored->Forecast(300, kQuantiles) == *original->Forecast(300, kQuantiles));
  for (int64_t i = 5 * kDay + 17; i < 6 * kDay; ++i) {
    REQUIRE(original->Update(StepTime(i), Daily(i)).ok());
    REQUIRE(restored->Update(StepTime(i), Daily(i)).ok());
  }
  CHECK(*restored->Forecast(300, kQuantiles) == *original->Forecast(300, kQuantiles));
  CHECK(restored->Trust().trust == original->Trust().trust);
  CHECK(restored->Save() == original->Save());
}

TEST_CASE("what is not from Save is refused and changes nothing") {
  const auto forecaster = Fed(3 * kDay, Daily);
  const auto before = *forecaster->Forecast(50, kQuantiles);
  const std::string saved = forecaster->Save();
  std::vector<std::string> bad = {"", "x", std::string(100'000, '\xff'), saved + "x",
                                  saved.substr(0, saved.size() - 1)};
  for (size_t cut = 1; cut < saved.size(); cut += saved.size() / 16) {
    bad.push_back(saved.substr(0, cut));
  }
  for (const std::string& bytes : bad) {
    CHECK(absl::IsInvalidArgument(forecaster->Restore(bytes)));
  }
  CHECK(*forecaster->Forecast(50, kQuantiles) == before);
}

TEST_CASE("what was saved with other options is refused") {
  const std::string saved = Fed(3 * kDay, Daily)->Save();
  auto other = MakeForecaster({.step = absl::Minutes(5), .season_lengths = {absl::Hours(24)}});
  CHECK(absl::IsInvalidArgument(other->Restore(saved)));
  auto coarser = MakeForecaster(
      {.step = absl::Minutes(10), .season_lengths = {absl::Hours(24), absl::Hours(168)}});
  CHECK(absl::IsInvalidArgument(coarser->Restore(saved)));
  Forecaster::Options rarer = kOptions;
  rarer.fits_per_season = 1;
  CHECK(absl::IsInvalidArgument(MakeForecaster(rarer)->Restore(saved)));
}

TEST_CASE("with one fit a day, a forecaster that is restored between fits is the same") {
  Forecaster::Options options = kOptions;
  options.fits_per_season = 1;
  const auto original = MakeForecaster(options);
  for (int64_t i = 0; i < 5 * kDay; ++i) {
    REQUIRE(original->Update(StepTime(i), Daily(i)).ok());
    if (i == 4 * kDay) REQUIRE(original->Forecast(1, kQuantiles).ok());  // The fit.
  }
  const auto restored = MakeForecaster(options);
  REQUIRE(restored->Restore(original->Save()).ok());
  CHECK(*restored->Forecast(300, kQuantiles) == *original->Forecast(300, kQuantiles));
}

TEST_CASE("a deferred fit counts from the next step on, whenever it was made before it") {
  Forecaster::Options options = kOptions;
  options.defer_fits = true;
  options.fit_phase = 0.4;
  const auto at_once = MakeForecaster(options);
  const auto late = MakeForecaster(options);
  auto restarted = MakeForecaster(options);
  int fits = 0;
  for (int64_t i = 0; i < 4 * kDay; ++i) {
    if (late->FitDue()) late->Fit();
    if (i % 7 == 0) {  // Also between a fit that is due and the step that it counts from.
      auto next = MakeForecaster(options);
      REQUIRE(next->Restore(restarted->Save()).ok());
      restarted = std::move(next);
    }
    while (restarted->FitDue()) restarted->Fit();
    for (const auto& forecaster : {at_once.get(), late.get(), restarted.get()}) {
      REQUIRE(forecaster->Update(StepTime(i), Daily(i)).ok());
    }
    const bool due = at_once->FitDue();
    if (due) fits += at_once->Fit();
    if (!due && i % 7 != 0) continue;
    const auto expected = *at_once->Forecast(20, kQuantiles);
    REQUIRE(*late->Forecast(20, kQuantiles) == expected);
    REQUIRE(*restarted->Forecast(20, kQuantiles) == expected);
  }
  CHECK(fits > 24);
}

}  // namespace
}  // namespace shadow::testing
