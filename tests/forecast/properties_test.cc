// What must hold of every forecast, whatever is learned.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <limits>
#include <random>

#include "forecast/engine.h"
#include "tests/forecast/series.h"

namespace shadow::testing {
namespace {

const std::vector<double> kAskedQuantiles = {0.05, 0.5, 0.95, 0.99};
const double kNone = std::numeric_limits<double>::quiet_NaN();

// Peaks at noon by the wall clock of `zone`.
double LocalNoon(absl::Time time, absl::TimeZone zone) {
  const int hour = absl::ToCivilHour(time, zone).hour();
  return 100 - 8 * std::abs(hour - 12);
}

TEST_CASE("a spike does not poison tomorrow") {
  const int64_t spike = 9 * kDay + 100;
  const auto with = Fed(10 * kDay, [&](int64_t i) { return i / 3 == spike / 3 ? 5000 : Daily(i); });
  const auto without = Fed(10 * kDay, Daily);
  const auto a = *with->Forecast(kDay, {0.5});
  const auto b = *without->Forecast(kDay, {0.5});
  for (size_t step = 0; step < a.size(); ++step) {
    INFO("step " << step);
    CHECK(a[step][0] == Approx(b[step][0]).epsilon(0.15));
  }
}

// By how much of its demand the day after step `end` is missed.
double DayMissed(int64_t end, const std::function<double(int64_t)>& demand) {
  const auto rows = *Fed(end, demand)->Forecast(kDay, {0.5});
  double missed = 0;
  double total = 0;
  for (int64_t step = 0; step < kDay; ++step) {
    const double wanted = demand(end + step);
    missed += std::abs(rows[static_cast<size_t>(step)][0] - wanted);
    total += wanted;
  }
  return missed / total;
}

TEST_CASE("a level that triples is followed after a day, and not overshot") {
  for (const int64_t shift : {7 * kDay, 7 * kDay + kDay / 2, 10 * kDay, 10 * kDay + kDay / 2}) {
    const auto demand = [&](int64_t i) { return i < shift ? Daily(i) : 3 * Daily(i); };
    for (const int64_t hours : {12, 24, 30, 33, 36, 39, 42, 45, 48, 60, 72, 84, 96}) {
      INFO(hours << " h after " << shift);
      const double bound = hours < 24 ? 0.6 : hours < 30 ? 0.4 : hours < 80 ? 0.28 : 0.12;
      CHECK(DayMissed(shift + hours * kDay / 24, demand) < bound);
    }
  }
}

TEST_CASE("a day of three times the demand is forgotten within hours after it") {
  for (const int64_t from : {8 * kDay, 8 * kDay + kDay / 2}) {
    const auto demand = [&](int64_t i) {
      return (i >= from && i < from + kDay ? 3 : 1) * Daily(i);
    };
    for (const int64_t hours : {6, 12, 24, 36}) {
      INFO(hours << " h after");
      CHECK(DayMissed(from + kDay + hours * kDay / 24, demand) < 0.15);
    }
  }
}

TEST_CASE("six hours after a shift the next hour lies at the new level") {
  const auto forecaster =
      Fed(8 * kDay, [](int64_t i) { return i < 7 * kDay + 216 ? Daily(i) : 3 * Daily(i); });
  const auto rows = *forecaster->Forecast(12, {0.5});
  for (size_t step = 0; step < rows.size(); ++step) {
    INFO("step " << step);
    const double wanted = 3 * Daily(8 * kDay + static_cast<int64_t>(step));
    CHECK(rows[step][0] == Approx(wanted).epsilon(0.25));
  }
}

TEST_CASE("on the day that clocks change, local noon stays at local noon") {
  absl::TimeZone zone;
  REQUIRE(absl::LoadTimeZone("America/New_York", &zone));
  // Sunday 2012-03-11, 2 am becomes 3 am; 2012-11-04, 2 am becomes 1 am.
  for (const absl::CivilHour& day : {absl::CivilHour(2012, 3, 11), absl::CivilHour(2012, 11, 4)}) {
    auto forecaster = MakeForecaster({.step = absl::Hours(1),
                                      .season_lengths = {absl::Hours(24), absl::Hours(168)},
                                      .time_zone = zone});
    const absl::Time end = absl::FromCivil(day, zone);
    for (absl::Time time = end - absl::Hours(24 * 28); time < end; time += absl::Hours(1)) {
      REQUIRE(forecaster->Update(time, LocalNoon(time, zone)).ok());
    }
    const auto rows = *forecaster->Forecast(24, {0.5});
    for (int step = 4; step < 24; ++step) {  // The hour itself is not told apart.
      INFO(absl::FormatTime(end + step * absl::Hours(1), zone));
      CHECK(rows[static_cast<size_t>(step)][0] ==
            Approx(LocalNoon(end + step * absl::Hours(1), zone)).margin(3));
    }
  }
}

TEST_CASE("events are taken out of what is learned, and put into what is forecast") {
  Forecaster::Options options = kOptions;
  options.events = {
      {.start_time = StepTime(6 * kDay), .end_time = StepTime(7 * kDay), .multiplier = 5},
      {.start_time = StepTime(8 * kDay + 10), .end_time = StepTime(8 * kDay + 20), .demand = 777},
      {.start_time = StepTime(8 * kDay + 30),
       .end_time = StepTime(8 * kDay + 40),
       .multiplier = 2}};
  auto forecaster = MakeForecaster(options);
  for (int64_t i = 0; i < 8 * kDay; ++i) {
    const bool event = i >= 6 * kDay && i < 7 * kDay;
    REQUIRE(forecaster->Update(StepTime(i), (event ? 5 : 1) * Daily(i)).ok());
  }
  const auto rows = *forecaster->Forecast(60, kAskedQuantiles);
  const auto plain = *Fed(8 * kDay, Daily)->Forecast(60, kAskedQuantiles);
  CHECK(rows[9][1] == Approx(plain[9][1]));
  CHECK(rows[10] == std::vector<double>(4, 777));
  CHECK(rows[30][1] == Approx(2 * plain[30][1]));
  CHECK(rows[40][3] == Approx(plain[40][3]));
}

TEST_CASE("update by update, with a look at every step, equals all at once") {
  auto watched = MakeForecaster(kOptions);
  for (int64_t i = 0; i < 3 * kDay; ++i) {
    REQUIRE(watched->Update(StepTime(i), Daily(i)).ok());
    // The last look is a whole refit before the end, so both fit at the end.
    if (i % 12 == 0) REQUIRE(watched->Forecast(1, {0.5}).ok());
  }
  REQUIRE(watched->Update(StepTime(3 * kDay), Daily(3 * kDay)).ok());
  const auto rows = *watched->Forecast(kDay, kAskedQuantiles);
  CHECK(rows == *Fed(3 * kDay + 1, Daily)->Forecast(kDay, kAskedQuantiles));
}

TEST_CASE("any step, season and length gives a forecast that is finite and in order") {
  struct Case {
    absl::Duration step;
    std::vector<absl::Duration> seasons;
    int64_t steps;
  };
  const std::vector<Case> cases = {
      {absl::Hours(1), {absl::Hours(1)}, 300},
      {absl::Hours(1), {absl::Hours(2), absl::Hours(24)}, 200},
      {absl::Seconds(1), {absl::Seconds(7)}, 1},
      {absl::Seconds(1), {absl::Seconds(7)}, 500},
      {absl::Seconds(1), {absl::Seconds(60)}, 240},
      {absl::Seconds(1), {absl::Seconds(48), absl::Seconds(336)}, 1000},
      {absl::Minutes(1), {absl::Hours(24), absl::Hours(168)}, 3 * 1440},
      {absl::Minutes(1), {absl::Hours(1), absl::Hours(24)}, 2000},
      {absl::Seconds(1), {absl::Seconds(100'003)}, 150'000},
      {absl::Seconds(1), {absl::Hours(24)}, 3},
      {absl::Seconds(1), {absl::Hours(24)}, 200'000},
      {absl::Minutes(30), {absl::Hours(24)}, 48 * 3 / 2}};
  std::mt19937 random(3);
  std::uniform_real_distribution<double> noise(0, 30);
  for (const Case& test : cases) {
    INFO(absl::FormatDuration(test.step)
         << " of " << absl::FormatDuration(test.seasons.front()) << ", " << test.steps);
    Engine engine({.step = test.step, .season_lengths = test.seasons});
    const int64_t season = test.seasons.front() / test.step;
    for (int64_t i = 0; i < test.steps; ++i) {
      const double day = i % season > season / 2 ? 100 : 10;
      const absl::Time time = absl::UnixEpoch() + i * test.step;
      REQUIRE(engine.Update(time, i % 41 == 40 ? kNone : day + noise(random)).ok());
    }
    const auto rows = engine.Forecast(200, {0.001, 0.05, 0.5, 0.95, 0.999});
    REQUIRE(rows.ok());
    for (const auto& row : *rows) {
      CHECK(std::is_sorted(row.begin(), row.end()));
      CHECK(row.front() >= 0);
      CHECK(row.back() < 1000);
    }
    CHECK(engine.StateBytes() <= kStateBytesMax);
    CHECK(engine.Save().size() <= kStateBytesMax);
    Engine restored({.step = test.step, .season_lengths = test.seasons});
    REQUIRE(restored.Restore(engine.Save()).ok());
    CHECK(*restored.Forecast(200, kAskedQuantiles) == *engine.Forecast(200, kAskedQuantiles));
  }
}

TEST_CASE("what was asked before changes no forecast") {
  for (const absl::Duration step : {absl::Minutes(1), absl::Minutes(5)}) {
    Engine asked({.step = step, .season_lengths = {absl::Hours(24)}});
    Engine silent({.step = step, .season_lengths = {absl::Hours(24)}});
    std::mt19937 random(5);
    std::uniform_real_distribution<double> noise(0, 30);
    const int64_t steps = absl::Hours(60) / step;
    for (int64_t i = 0; i < steps; ++i) {
      const absl::Time time = absl::UnixEpoch() + i * step;
      const double value = LocalNoon(time, absl::UTCTimeZone()) + noise(random);
      REQUIRE(asked.Update(time, value).ok());
      REQUIRE(silent.Update(time, value).ok());
      if (i < steps - 15) continue;
      REQUIRE(asked.Forecast(2, {0.5, 0.9}).ok());
      REQUIRE(asked.Forecast(400, {0.01}).ok());
      INFO(absl::FormatDuration(step) << ", step " << i);
      CHECK(*asked.Forecast(30, kAskedQuantiles) == *silent.Clone()->Forecast(30, kAskedQuantiles));
    }
  }
}

TEST_CASE("a full window stays within the bound of memory") {
  for (const absl::Duration step : {absl::Minutes(5), absl::Minutes(10), absl::Seconds(300)}) {
    Engine engine({.step = step, .season_lengths = {absl::Hours(24), absl::Hours(168)}});
    for (int64_t i = 0; i < 9000; ++i) {
      REQUIRE(engine.Update(absl::UnixEpoch() + i * step, Daily(i)).ok());
    }
    REQUIRE(engine.Forecast(10, kAskedQuantiles).ok());
    CHECK(engine.StateBytes() <= kStateBytesMax);
    CHECK(engine.Save().size() <= kStateBytesMax);
  }
}

TEST_CASE("seconds of a day of 86,400 are learned in cells and forecast from the latest second") {
  Engine engine({.step = absl::Seconds(1), .season_lengths = {absl::Hours(24)}});
  const auto demand = [](int64_t i) { return Daily(i / 300); };
  for (int64_t i = 0; i < 3 * 86400; ++i) {
    REQUIRE(engine.Update(absl::FromUnixSeconds(i), demand(i)).ok());
  }
  const auto rows = *engine.Forecast(1200, {0.5});
  for (size_t step = 0; step < rows.size(); step += 100) {
    const double wanted = demand(3 * 86400 + static_cast<int64_t>(step));
    CHECK(rows[step][0] == Approx(wanted).epsilon(0.25));
  }
  CHECK(engine.SampleCount() == Approx(3 * 86400).epsilon(0.01));
}

TEST_CASE("a saved forecaster is taken over in another time zone") {
  const auto original = Fed(5 * kDay, Daily);
  Forecaster::Options options = kOptions;
  REQUIRE(absl::LoadTimeZone("Asia/Tokyo", &options.time_zone));
  auto moved = MakeForecaster(options);
  REQUIRE(moved->Restore(original->Save()).ok());
  CHECK(moved->SampleCount() == original->SampleCount());
  const auto a = *original->Forecast(kDay, {0.5});
  const auto b = *moved->Forecast(kDay, {0.5});
  for (size_t step = 0; step < a.size(); ++step)
    CHECK(b[step][0] == Approx(a[step][0]).epsilon(0.1));
}

}  // namespace
}  // namespace shadow::testing
