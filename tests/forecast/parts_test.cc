// The parts of the engine, by hand-computed values.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "forecast/events.h"
#include "forecast/experts/day_types.h"
#include "forecast/experts/similar_days.h"
#include "forecast/experts/stack.h"
#include "forecast/experts/young.h"
#include "forecast/fit_schedule.h"
#include "forecast/mixture/back_test.h"
#include "forecast/mixture/dressing.h"
#include "forecast/mixture/mixture.h"
#include "forecast/mixture/quantile_levels.h"
#include "forecast/mixture/trust.h"
#include "forecast/shape.h"
#include "forecast/steps/cell_path.h"
#include "forecast/wall_clock.h"

namespace shadow::testing {
namespace {

TEST_CASE("a quantile of changes is the order statistic at (n + 1) x probability") {
  CHECK(OrderStatistic({}, 0.5) == 0);
  const std::vector<float> sorted = {1, 2, 3, 4};
  CHECK(OrderStatistic(sorted, 0.5) == 2.5);    // Position 2.5.
  CHECK(OrderStatistic(sorted, 0.25) == 1.25);  // Position 1.25.
  CHECK(OrderStatistic(sorted, 0.1) == 1);      // Below the first: the least.
  CHECK(OrderStatistic(sorted, 0.999) == 4);    // Above the last: the greatest.
}

TEST_CASE("a weighted quantile interpolates between the middles of the weights") {
  Eigen::VectorXf values(4);
  values << 3, -1, 4, 2;
  // Sorted -1, 2, 3, 4 at 0.125, 0.375, 0.625, 0.875.
  const LevelArray equal = WeightedQuantiles(values, Eigen::VectorXf::Ones(4));
  CHECK(equal[kMedian] == Approx(2.5));
  CHECK(equal[3] == Approx(0.5));  // 0.25: half way from -1 to 2.
  CHECK(equal[0] == -1);           // 0.01: below the first.
  CHECK(equal[10] == 4);
  Eigen::VectorXf weights(4);
  weights << 1, 1, 1, 5;  // Of the 2: -1 at 1/16, 2 at 3.5/8, 3 at 6.5/8.
  CHECK(WeightedQuantiles(values, weights)[kMedian] == Approx(2 + (0.5 - 0.4375) / 0.375));
}

TEST_CASE("the normal distribution's quantiles are those of the tables") {
  CHECK(Probit(0.5) == Approx(0).margin(1e-12));
  CHECK(Probit(0.975) == Approx(1.959963985));
  CHECK(Probit(0.01) == Approx(-2.326347874));
  CHECK(Probit(0.999) == Approx(3.090232306));
}

TEST_CASE("a probability between two levels lies between their values, in normal distances") {
  LevelArray normal{};
  for (size_t i = 0; i < normal.size(); ++i) normal[i] = static_cast<float>(Probit(kLevels[i]));
  for (const double p : {0.001, 0.01, 0.33, 0.5, 0.875, 0.99, 0.999}) {
    CHECK(PlaceOf(p).In(normal) == Approx(Probit(p)).margin(1e-5));
  }
}

TEST_CASE("a value between the middles of two cells lies on the line between theirs") {
  CHECK(CellPlaceAt(0.5).lead == 1);
  CHECK(CellPlaceAt(0.5).share == 0);
  const std::vector<CellPlace> places = {CellPlaceAt(0.25), CellPlaceAt(0.75), CellPlaceAt(3.5)};
  const std::vector<int> leads = LeadsOf(places);
  REQUIRE(leads == std::vector<int>{1, 2, 4, 5});
  const std::vector<std::vector<double>> rows = {{10}, {20}, {40}, {50}};
  const CellPath path(leads, rows, 6);
  CHECK(path.At(places[0], 0) == Approx(9));     // 0.25 of 6 and 0.75 of 10.
  CHECK(path.At(places[1], 0) == Approx(12.5));  // 0.75 of 10 and 0.25 of 20.
  CHECK(path.At(places[2], 0) == Approx(40));
  const CellPath unknown(leads, rows, std::numeric_limits<double>::quiet_NaN());
  CHECK(unknown.At(places[0], 0) == Approx(10));
}

TEST_CASE("a fit is due at every turn, and counts from the next cell that closes") {
  FitSchedule schedule({.refit = 12, .phase = 0, .age_max = 13});
  schedule.Close(20, false);
  CHECK_FALSE(schedule.due());
  schedule.Close(21, true);
  CHECK(schedule.due() == 21);  // The first one does not wait for its turn.
  schedule.Close(22, true);
  CHECK(schedule.counting() == 21);
  CHECK_FALSE(schedule.due());
  schedule.Close(24, true);
  CHECK(schedule.due() == 24);
  schedule.Close(25, true);
  CHECK(schedule.counting() == 24);
  schedule.Close(37, true);  // A gap over a turn.
  CHECK(schedule.counting() == 24);
  CHECK(schedule.due() == 37);
  schedule.Close(51, true);  // One longer than the history reaches.
  CHECK(schedule.counting() == 51);
  CHECK_FALSE(schedule.due());
}

TEST_CASE("past cells have few fits, and one is due when the first cell after them closes") {
  FitSchedule schedule({.refit = 12, .past_refit = 288, .age_max = 600});
  schedule.Close(250, true, /*past=*/true);
  CHECK(schedule.due() == 250);
  schedule.Close(287, true, /*past=*/true);
  CHECK_FALSE(schedule.due());
  schedule.Close(289, true, /*past=*/true);
  CHECK(schedule.due() == 289);
  schedule.Close(290, true, /*past=*/true);
  CHECK(schedule.past());
  schedule.EndPast();
  CHECK_FALSE(schedule.past());
  CHECK(schedule.counting() == 289);
  SavedWriter writer;
  schedule.Save(writer);
  const std::string saved = std::move(writer).Finish();
  SavedReader reader(saved);
  FitSchedule restored({.refit = 12, .past_refit = 288, .age_max = 600});
  REQUIRE(restored.Load(reader, 0, 290));
  for (FitSchedule* each : {&schedule, &restored}) {
    each->Close(291, true);
    CHECK(each->counting() == 289);
    CHECK(each->due() == 291);  // Not one of its turns.
    each->Close(292, true);
    CHECK(each->counting() == 291);
    CHECK_FALSE(each->due());
  }
  // A past that ended with a gap too long: one fit, at once.
  schedule.Close(293, true, /*past=*/true);
  schedule.Close(1000, true);
  CHECK(schedule.counting() == 1000);
  CHECK_FALSE(schedule.due());
}

TEST_CASE("a cell is a step, or one of 288 parts of a day that has more than 300") {
  const Shape plain =
      MakeShape({.step = absl::Minutes(5), .season_lengths = {absl::Hours(24), absl::Hours(168)}});
  CHECK(plain.day == 288);
  CHECK(plain.week == 2016);
  CHECK_FALSE(plain.coarse);
  CHECK(plain.Cell(601) == 2);
  CHECK(plain.Cell(-1) == -1);
  const Shape seconds = MakeShape({.step = absl::Seconds(1), .season_lengths = {absl::Hours(24)}});
  CHECK(seconds.day == 288);
  CHECK(seconds.coarse);
  CHECK(seconds.Cell(601) == 2);
  CHECK(seconds.week == 2016);  // Days of 24 h have weeks.
  const Shape demo = MakeShape({.step = absl::Seconds(1), .season_lengths = {absl::Seconds(60)}});
  CHECK(demo.day == 60);
  CHECK(demo.week == 0);
  CHECK(demo.window == 42 * 60);
  CHECK_FALSE(demo.calendar);
}

TEST_CASE("fits are due as often in a season as the options say") {
  Forecaster::Options options = {.step = absl::Minutes(5), .season_lengths = {absl::Hours(24)}};
  CHECK(MakeShape(options).refit == 12);  // Once an hour.
  options.fits_per_season = 1;
  CHECK(MakeShape(options).refit == 288);
  options.fits_per_season = 1000;
  CHECK(MakeShape(options).refit == 1);
}

TEST_CASE("the past at another level counts for little, that at the present one for much") {
  // Twelve days of a day and night, the last four at three times the demand.
  History history(12 * 24);
  for (int i = 0; i < 12 * 24; ++i) {
    const float demand = i % 24 < 12 ? 1 : 2;
    history.Push(i < 8 * 24 ? demand : 3 * demand);
  }
  const Series series = {.history = &history, .scale = 1};
  const Shape shape = MakeShape({.step = absl::Hours(1), .season_lengths = {absl::Hours(24)}});
  Profiles profiles({.day = 24, .types = {.alike = true}, .level = 1.5F, .clip = 10});
  const BackTest test =
      RunBackTest({.shape = &shape, .series = series, .first = 0, .end = 12 * 24}, profiles);
  float before = 0;
  float after = 0;
  for (int row = 0; row < test.rows(); ++row) {
    // Without the age, which halves every quarter of the window.
    const auto at = static_cast<size_t>(row);
    const int origin = test.target[at] - test.lead[at] + 1;
    const float age = static_cast<float>(12 * 24 - origin) / (12 * 24);
    const float like = test.plain_weight[row] * std::exp2(4 * age);
    if (origin <= 8 * 24) before = std::max(before, like);
    if (origin >= 11 * 24) after = std::max(after, like);
  }
  CHECK(before == Approx(1.0 / 21).epsilon(0.05));
  CHECK(after > 0.9);
}

TEST_CASE("1970 began on a Thursday, and a weekend may lie elsewhere") {
  const DayTypes calendar;
  CHECK(calendar.TypeOf(0) == 0);
  CHECK(calendar.TypeOf(2) == 1);  // Saturday
  CHECK(calendar.TypeOf(3) == 1);
  CHECK(calendar.TypeOf(4) == 0);
  CHECK(calendar.TypeOf(-5) == 1);             // Saturday, 1969-12-27.
  CHECK(DayTypes{.shift = 1}.TypeOf(1) == 1);  // Friday and Saturday.
  CHECK(DayTypes{.alike = true}.TypeOf(2) == 0);
}

TEST_CASE("days off on Thursday and Friday are learned") {
  std::vector<float> cells;
  for (int day = 0; day < 28; ++day) {
    const int weekday = (day + 3) % 7;
    for (int slot = 0; slot < 24; ++slot) {
      cells.push_back(weekday == 3 || weekday == 4 ? 10 : 100 + static_cast<float>(slot));
    }
  }
  const DayTypes types =
      LearnDayTypes({.cells = cells, .day = 24, .calendar = true, .weekly = true});
  CHECK(types.shift == 2);
  CHECK_FALSE(types.alike);
}

TEST_CASE("the wall clock of New York is 4 or 5 hours behind") {
  absl::TimeZone zone;
  REQUIRE(absl::LoadTimeZone("America/New_York", &zone));
  WallClock clock(zone);
  const int64_t change = 1331449200;  // 2012-03-11 07:00 UTC, 2 am local becomes 3 am.
  CHECK(clock.Seconds(change - 1) == change - 1 - 5 * 3600);
  CHECK(clock.Seconds(change) == change - 4 * 3600);
  CHECK(clock.Seconds(change - 1) == change - 1 - 5 * 3600);  // Also backwards.
}

TEST_CASE("similar days repeat what a day before held, moved by the present difference") {
  // A day of 4 cells: 0, 8, 16, 8, then the same 2 higher.
  History history(16);
  for (const float value : {0.F, 8.F, 16.F, 8.F, 2.F, 10.F}) history.Push(value);
  const Series series = {.history = &history, .scale = 1};
  SimilarDays days({.day = 4, .first = 0, .types = {.alike = true}});
  for (int64_t t = 0; t < 6; ++t) days.Push(series, t);
  days.SetOrigin(6);
  // One day is known; the difference of 2 fades by 2^(-1/4) a cell.
  CHECK(days.At(series, 6) == Approx(16 + 2 * std::exp2(-0.25)));
  CHECK(days.At(series, 7) == Approx(8 + 2 * std::exp2(-0.5)));
  CHECK(std::isnan(days.At(series, 10)));  // A day ahead the day before is not known.
}

TEST_CASE("a day of the same course at another level is more alike than one at the same level") {
  // Days of 4 cells: one at today's mean but upside down, one of today's course 100 higher, today.
  History history(16);
  for (const float value : {16.F, 8.F, 0.F, 8.F, 100.F, 108.F, 116.F, 108.F, 0.F, 8.F, 16.F}) {
    history.Push(value);
  }
  const Series series = {.history = &history, .scale = 1};
  SimilarDays days({.day = 4, .first = 0, .types = {.alike = true}});
  for (int64_t t = 0; t < 11; ++t) days.Push(series, t);
  days.SetOrigin(11);
  // The day before differs by -100 in each cell, so by nothing in shape: it has nearly all weight.
  CHECK(days.At(series, 11) == Approx(108 - 100 * std::exp2(-0.25)).epsilon(0.001));
}

TEST_CASE("a moved day is yesterday and as much more as today is above it") {
  Levels levels{};
  levels[LevelFeatures::kYesterday] = 5;
  Latest latest;
  latest.moved = 2;
  CHECK(MovedDay(levels, latest, 1, 24) == Approx(7));
  CHECK(MovedDay(levels, latest, 24, 24) == Approx(7));
  CHECK(MovedDay(levels, latest, 25, 24) == Approx(7.6));  // 5 + 1.3 x 2
}

TEST_CASE("where a bucket has many leads, origins take turns at the targets") {
  // 288 cells a day: leads of half a day to a day are looked at every eighth, 144 / 18.
  History history(6 * 288);
  for (int i = 0; i < 6 * 288; ++i) history.Push(static_cast<float>(1 + i % 288));
  const Series series = {.history = &history, .scale = 1};
  const Shape shape = MakeShape({.step = absl::Minutes(5), .season_lengths = {absl::Hours(24)}});
  Profiles profiles({.day = 288, .types = {.alike = true}, .level = 1, .clip = 10});
  const BackTest test =
      RunBackTest({.shape = &shape, .series = series, .first = 0, .end = 6 * 288}, profiles);
  std::array<bool, 8> seen{};
  for (int row = test.begin[5]; row < test.begin[6]; ++row) {
    seen[static_cast<size_t>(test.slot[static_cast<size_t>(row)]) % 8] = true;
  }
  CHECK(std::count(seen.begin(), seen.end(), true) == 8);
}

TEST_CASE("leads lie between knots that are spaced by their logarithms") {
  const LeadKnots knots(256);
  CHECK(knots.leads() == std::vector<int>{1, 2, 4, 8, 16, 32, 64, 128, 256});
  CHECK(knots.PlaceOf(1) == 0);
  CHECK(knots.PlaceOf(3) == Approx(1 + std::log2(1.5)));
  CHECK(knots.PlaceOf(256) == 8);
  CHECK(knots.PlaceOf(1000) == 8);  // As the last.
  CHECK(LeadKnots(1).PlaceOf(1) == 0);
}

TEST_CASE("the stack keeps to its levels and to the profile with the deviation") {
  FeatureRow row = FeatureRow::Zero();
  row[LevelFeatures::kType] = 2;
  row[LevelFeatures::kYesterday] = 3;
  CHECK(Bounded(row, 2.5F) == 2.5F);
  CHECK(Bounded(row, 9) == 3);
  CHECK(Bounded(row, -1) == 0);  // The other levels.
  row[kDeviationColumn] = 4;
  CHECK(Bounded(row, 9) == 7);  // 2 + 1.25 x 4
  row[kDeviationColumn + 1] = -4;
  CHECK(Bounded(row, -9) == -3);  // 2 - 1.25 x 4
}

TEST_CASE("an expert with half the loss of the others takes nearly all of the weight") {
  std::array<ExpertLoss, kExperts> losses;
  for (ExpertLoss& loss : losses) {
    loss.whole.fill(2);
    loss.plain.fill(2);
    loss.recent.fill(2);
  }
  for (const auto& weights : Weigh(losses)) {
    for (const float weight : weights) CHECK(weight == Approx(1.0 / kExperts));
  }
  losses[kSlot].whole.fill(1);
  losses[kSlot].plain.fill(1);
  losses[kSlot].recent.fill(1);
  // 2^(10 + 4 + 3) against seven times 1 in the first bucket.
  CHECK(Weigh(losses)[0][kSlot] == Approx(131072.0 / 131079));
}

TEST_CASE("a model that loses to naive forecasts is not trusted") {
  TrustInput input;
  const auto fill = [](ExpertLoss& loss, double value) {
    loss.whole.fill(value);
    loss.plain.fill(value);
    loss.recent.fill(value);
  };
  fill(input.own, 1);
  for (ExpertLoss& loss : input.experts) fill(loss, 1.5);
  CHECK(Judge(input).trust == ForecastTrust::kTrusted);
  CHECK(Judge(input).reason.find("no seasonality") != std::string::npos);  // A level does as well.
  input.experts[kSimilarOnly].plain.fill(1.2);
  CHECK(Judge(input).reason.find("no seasonality") == std::string::npos);
  fill(input.experts[kDayNaive], 0.8);
  CHECK(Judge(input).trust == ForecastTrust::kWorseThanNaive);
  fill(input.experts[kDayNaive], 1.5);
  for (size_t b = 0; b < 3; ++b) input.experts[kLevelOnly].recent[b] = 0.8;  // Soon only.
  CHECK(Judge(input).trust == ForecastTrust::kWorseThanNaive);
  fill(input.own, 0.5);
  input.own.recent.fill(1.01);
  CHECK(Judge(input).reason.find("drift") != std::string::npos);
}

TEST_CASE("an event multiplies, or says how much there will be") {
  const absl::Time start = absl::FromUnixSeconds(1000);
  const std::vector<Forecaster::Event> events = {
      {.start_time = start, .end_time = start + absl::Seconds(10), .multiplier = 4},
      {.start_time = start, .end_time = start + absl::Seconds(20), .demand = 7}};
  CHECK(EventAt(events, start - absl::Seconds(1)) == nullptr);
  CHECK(EventAt(events, start) == &events[0]);
  CHECK(EventAt(events, start + absl::Seconds(10)) == &events[1]);
  CHECK(EventAt(events, start + absl::Seconds(20)) == nullptr);
  CHECK(WithoutEvent(events[0], 8) == 2);
  CHECK(std::isnan(WithoutEvent(events[1], 8)));
  std::vector<double> row = {1, 2};
  ApplyEvent(events[0], row);
  CHECK(row == std::vector<double>{4, 8});
  ApplyEvent(events[1], row);
  CHECK(row == std::vector<double>{7, 7});
}

}  // namespace
}  // namespace shadow::testing
