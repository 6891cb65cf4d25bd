// Save and Restore: nothing is lost, and nothing foreign is taken.
#include <catch2/catch.hpp>

#include "tests/forecast/series.h"

namespace shadow::testing {
namespace {

const std::vector<double> kSavedQuantiles = {0.1, 0.5, 0.99};

TEST_CASE("a restored forecaster forecasts the same, now and later") {
  const auto original = Fed(5 * kDay + 17, Daily);
  auto restored = MakeForecaster(kOptions);
  REQUIRE(restored->Restore(original->Save()).ok());
  CHECK(restored->LastStep() == original->LastStep());
  CHECK(restored->SampleCount() == original->SampleCount());
  CHECK(*restored->Forecast(300, kSavedQuantiles) == *original->Forecast(300, kSavedQuantiles));
  for (int64_t i = 5 * kDay + 17; i < 6 * kDay; ++i) {
    REQUIRE(original->Update(StepTime(i), Daily(i)).ok());
    REQUIRE(restored->Update(StepTime(i), Daily(i)).ok());
  }
  CHECK(*restored->Forecast(300, kSavedQuantiles) == *original->Forecast(300, kSavedQuantiles));
  CHECK(restored->Trust().trust == original->Trust().trust);
  CHECK(restored->Save() == original->Save());
}

// As a daemon has it between two fits: all that are due of the last hours are made.
std::unique_ptr<Forecaster> WithFits(int64_t steps) {
  auto forecaster = MakeForecaster(kOptions);
  for (int64_t i = 0; i < steps; ++i) {
    REQUIRE(forecaster->Update(StepTime(i), Daily(i)).ok());
    while (i >= steps - 30 && forecaster->Fit()) {
    }
  }
  return forecaster;
}

TEST_CASE("fits that are restored are not made again, and forecast the same") {
  for (const int64_t steps : {int64_t{5 * kDay + 17}, int64_t{40 * kDay + 5}}) {
    const auto original = WithFits(steps);
    auto restored = MakeForecaster(kOptions);
    REQUIRE(restored->Restore(original->Save()).ok());
    REQUIRE(restored->FitDue());
    restored->RestoreFits(original->SaveFits());
    CHECK_FALSE(restored->FitDue());
    CHECK_FALSE(restored->AwaitsFit(restored->LastStep()));
    CHECK(*restored->Forecast(300, kSavedQuantiles) == *original->Forecast(300, kSavedQuantiles));
    CHECK(restored->Trust().reason == original->Trust().reason);
    for (int64_t i = steps; i < steps + 30; ++i) {
      REQUIRE(original->Update(StepTime(i), Daily(i)).ok());
      REQUIRE(restored->Update(StepTime(i), Daily(i)).ok());
      REQUIRE(*restored->Forecast(20, kSavedQuantiles) == *original->Forecast(20, kSavedQuantiles));
    }
    CHECK(restored->SaveFits() == original->SaveFits());
  }
}

TEST_CASE("fits that are damaged or of another time are made again") {
  constexpr int64_t kSteps = 6 * kDay;
  const auto original = WithFits(kSteps);
  const std::string fits = original->SaveFits();
  std::vector<std::string> bad = {"",
                                  "x",
                                  fits + "x",
                                  WithFits(kSteps - 1)->SaveFits(),
                                  WithFits(kSteps + kDay)->SaveFits(),
                                  MakeForecaster(kOptions)->SaveFits()};
  for (size_t cut = 1; cut < fits.size(); cut += fits.size() / 16)
    bad.push_back(fits.substr(0, cut));
  for (const std::string& bytes : bad) {
    auto restored = MakeForecaster(kOptions);
    REQUIRE(restored->Restore(original->Save()).ok());
    restored->RestoreFits(bytes);
    CHECK(restored->FitDue());
    CHECK(*restored->Forecast(50, kSavedQuantiles) == *original->Forecast(50, kSavedQuantiles));
  }
}

TEST_CASE("what is not from Save is refused and changes nothing") {
  const auto forecaster = Fed(3 * kDay, Daily);
  const auto before = *forecaster->Forecast(50, kSavedQuantiles);
  const std::string saved = forecaster->Save();
  std::vector<std::string> bad = {"", "x", std::string(100'000, '\xff'), saved + "x",
                                  saved.substr(0, saved.size() - 1)};
  for (size_t cut = 1; cut < saved.size(); cut += saved.size() / 16) {
    bad.push_back(saved.substr(0, cut));
  }
  for (const std::string& bytes : bad) {
    CHECK(absl::IsInvalidArgument(forecaster->Restore(bytes)));
  }
  CHECK(*forecaster->Forecast(50, kSavedQuantiles) == before);
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
    if (i == 4 * kDay) REQUIRE(original->Forecast(1, kSavedQuantiles).ok());  // The fit.
  }
  const auto restored = MakeForecaster(options);
  REQUIRE(restored->Restore(original->Save()).ok());
  CHECK(*restored->Forecast(300, kSavedQuantiles) == *original->Forecast(300, kSavedQuantiles));
}

// A step after another, with a gap now and then, of which some are longer than a day.
struct Walk {
  Forecaster::Options options;
  int64_t begin = 0;  // Steps from 1970.
  int64_t steps = 0;

  absl::Time Time(int64_t i) const {
    return absl::FromUnixSeconds((begin + i) * absl::ToInt64Seconds(options.step));
  }
  double Value(int64_t i) const {
    const double day = absl::FDivDuration(options.season_lengths.front(), options.step);
    return 100 - 60 * std::cos(2 * M_PI * static_cast<double>(i) / day) +
           static_cast<double>(i % 7) - static_cast<double>(i % 11) / 2;
  }
};

// The same series four times: fits made by Forecast, begun as soon as they are due and finished
// before they count, begun and finished late, and lost by a restart after every step from `from`
// on. Fits that were made in time.
int CompareFits(const Walk& walk, int64_t from, const std::vector<int64_t>& gaps) {
  const auto at_once = MakeForecaster(walk.options);
  const auto early = MakeForecaster(walk.options);
  const auto late = MakeForecaster(walk.options);
  auto restarted = MakeForecaster(walk.options);
  std::vector<std::unique_ptr<FitWork>> under_way;
  int fits = 0;
  int64_t i = 0;
  size_t gap = 0;
  for (int64_t count = 0; count < walk.steps; ++count, ++i) {
    if (count >= from && (count - from) % 29 == 28 && gap < gaps.size()) i += gaps[gap++];
    const absl::Time time = walk.Time(i);
    if (early->AwaitsFit(time)) fits += early->Fit() ? 1 : 0;
    for (const auto& forecaster : {at_once.get(), early.get(), late.get(), restarted.get()}) {
      REQUIRE(forecaster->Update(time, walk.Value(i)).ok());
    }
    for (auto& work : under_way) late->FinishFit(std::move(work));
    under_way.clear();
    while (auto work = late->BeginFit()) {
      work->Run();
      under_way.push_back(std::move(work));
    }
    if (count < from) continue;
    auto next = MakeForecaster(walk.options);
    REQUIRE(next->Restore(restarted->Save()).ok());
    restarted = std::move(next);
    const auto expected = *at_once->Forecast(20, kSavedQuantiles);
    REQUIRE(*early->Forecast(20, kSavedQuantiles) == expected);
    REQUIRE(*late->Forecast(20, kSavedQuantiles) == expected);
    REQUIRE(*restarted->Forecast(20, kSavedQuantiles) == expected);
    REQUIRE(restarted->Save() == at_once->Save());
  }
  return fits;
}

TEST_CASE("a fit counts from the next cell on, whoever makes it, whenever, and after a restart") {
  const std::vector<absl::Duration> day = {absl::Hours(24)};
  const std::vector<absl::Duration> week = {absl::Hours(24), absl::Hours(168)};
  const Walk hours = {.options = {.step = absl::Hours(1), .season_lengths = week}, .steps = 150};
  CHECK(CompareFits(hours, 20, {3, 30, 2, 400}) > 100);
  const Walk half_hours = {
      .options = {.step = absl::Minutes(30), .season_lengths = week, .fit_phase = 0.4},
      .begin = 12'345,
      .steps = 220};
  CHECK(CompareFits(half_hours, 50, {1, 5, 60}) > 60);
  const Walk minutes = {
      .options = {.step = absl::Minutes(1), .season_lengths = day, .fit_phase = 0.7},
      .begin = 77,
      .steps = 2000};
  CHECK(CompareFits(minutes, 1710, {1, 7, 70, 1500}) > 4);
}

TEST_CASE("a fit of a series that has begun anew since is dropped") {
  const auto forecaster = Fed(3 * kDay + 12, Daily);
  auto work = forecaster->BeginFit();
  REQUIRE(work != nullptr);
  work->Run();
  const auto same = MakeForecaster(kOptions);
  REQUIRE(same->Restore(forecaster->Save()).ok());
  REQUIRE(forecaster->Restore(forecaster->Save()).ok());
  forecaster->FinishFit(std::move(work));
  CHECK(forecaster->FitDue());
  CHECK(*forecaster->Forecast(300, kSavedQuantiles) == *same->Forecast(300, kSavedQuantiles));
}

TEST_CASE("the first fit is due as soon as there is enough history, and counts a cell later") {
  const auto forecaster = MakeForecaster(kOptions);
  int64_t due = 0;
  for (int64_t i = 0; i < 2 * kDay && due == 0; ++i) {
    REQUIRE(forecaster->Update(StepTime(i), Daily(i)).ok());
    if (forecaster->FitDue()) due = i + 1;
  }
  CHECK(due == 346);  // More than 1.2 days of 288.
  CHECK_FALSE(forecaster->AwaitsFit(StepTime(due - 1)));
  CHECK(forecaster->AwaitsFit(StepTime(due)));
  CHECK(forecaster->Fit());
  CHECK_FALSE(forecaster->Fit());
  CHECK_FALSE(forecaster->AwaitsFit(StepTime(due)));
}

}  // namespace
}  // namespace shadow::testing
