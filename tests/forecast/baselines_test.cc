// The baselines, by hand.
#include "tests/forecast/eval/baselines.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/forecast/eval/score.h"

namespace shadow::testing {
namespace {

const std::vector<double> kMedianAlone = {0.5};

TEST_CASE("a quantile lies between the two values beside it") {
  CHECK(QuantileOf(std::vector<double>{1, 2, 3}, 0.8) == Approx(2.6));
  CHECK(QuantileOf(std::vector<double>{1, 2, 3}, 0.5) == Approx(2));
  CHECK(QuantileOf(std::vector<double>{4}, 0.99) == Approx(4));
}

TEST_CASE("seasonal naive repeats the last season, moved by what it missed") {
  // Days of two steps; each value is 1 more than a day before, or 2 more than two days before.
  const std::vector<double> history = {1, 5, 2, 6, 3, 7};
  const Paths rows = SeasonalNaive(
      {.history = history, .day = 2, .horizon = 3, .quantiles = kMedianAlone}, /*weekly=*/true);
  REQUIRE(rows.size() == 3);  // Two weeks are not there: it takes days.
  CHECK(rows[0][0] == Approx(4));
  CHECK(rows[1][0] == Approx(8));
  CHECK(rows[2][0] == Approx(5));
}

TEST_CASE("a missing value of a baseline's history is that of the day beside it") {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> history = {1, 5, none, 5, 1, none};
  const Paths rows = SeasonalNaive(
      {.history = history, .day = 2, .horizon = 2, .quantiles = kMedianAlone}, /*weekly=*/false);
  CHECK(rows[0][0] == Approx(1));
  CHECK(rows[1][0] == Approx(5));
}

TEST_CASE("the mean of a slot is that of the last days, and its errors are widened") {
  // Slot means 2 and 6, errors -1, 0, 1 in each: widened by sqrt(3/2 x 4/3) = sqrt(2).
  const std::vector<double> history = {1, 5, 2, 6, 3, 7};
  const std::vector<double> quantiles = {0.5, 0.999999};
  const Paths rows =
      SameSlotMean({.history = history, .day = 2, .horizon = 3, .quantiles = quantiles});
  CHECK(rows[0][0] == Approx(2));
  CHECK(rows[1][0] == Approx(6));
  CHECK(rows[2][0] == Approx(2));
  CHECK(rows[0][1] == Approx(2 + std::sqrt(2)).epsilon(1e-4));
}

TEST_CASE("the loss of a path skips what is missing, and is clipped at zero") {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const std::vector<TimedValue> actual = {{.time = {}, .value = 10}, {.time = {}, .value = none}};
  Loss loss;
  loss.Add({{-5, 0, 0, 0, 10}, {1, 1, 1, 1, 1}}, actual);
  // The first row is missed by 10, 10, 10, 10 and 0.
  CHECK(loss.all == Approx(10 * (0.5 + 0.8 + 0.9 + 0.95)));
  CHECK(loss.near == Approx(loss.all));
}

TEST_CASE("a set's losses are geometric means over its series") {
  SeriesScore half;
  half.series = "half";
  half.tasks = 10;
  half.own = {.all = 1, .near = 1};
  half.weekly = {.all = 2, .near = 4};
  half.daily = half.same_slot = {.all = 4, .near = 4};
  SeriesScore twice;
  twice.series = "twice";
  twice.tasks = 9;
  twice.own = {.all = 4, .near = 4};
  twice.weekly = {.all = 2, .near = 4};
  twice.daily = twice.same_slot = twice.weekly;
  const std::vector<SeriesScore> series = {half, twice};
  const SetScore score = ScoreOf(series, 10);
  CHECK(score.rel == Approx(1));
  CHECK(score.near_rel == Approx(0.5));
  CHECK(score.worst == Approx(0.5));  // The other has too few tasks.
  CHECK(score.worst_series == "half");
}

}  // namespace
}  // namespace shadow::testing
