// Every grid that a pool may have, by every way that a series comes to a forecaster.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "absl/strings/str_cat.h"
#include "tests/forecast/series.h"

namespace shadow::testing {
namespace {

using Rows = std::vector<std::vector<double>>;

const std::vector<double> kAsked = {0.02, 0.25, 0.5, 0.8, 0.92, 0.95, 0.99};
constexpr double kRange = 120;            // From the night to noon.
constexpr double kNear = 0.05 * kRange;   // Of the truth, for a median.
constexpr double kNoise = 0.01 * kRange;  // Standard deviation.
constexpr uint32_t kSeed = 20'240'331;

// A pool's settings, and a daily course on its wall clock that is known.
struct Grid {
  std::string name;
  absl::Duration step;
  std::vector<absl::Duration> seasons = {absl::Hours(24), absl::Hours(168)};
  std::string zone = "UTC";
  // A Sunday on which the clocks of central Europe change, at 01:00 UTC.
  absl::Time change = absl::FromUnixSeconds(1'711'846'800);

  Forecaster::Options Options() const {
    Forecaster::Options options{.step = step, .season_lengths = seasons};
    REQUIRE(absl::LoadTimeZone(zone, &options.time_zone));
    return options;
  }
  absl::Duration day() const { return seasons.front(); }
  int64_t DaySteps() const { return day() / step; }

  // The mean of the step that begins at `time`.
  double Truth(absl::Time time, const absl::TimeZone& local) const {
    const bool calendar = day() == absl::Hours(24);
    const int offset = calendar ? local.At(time).offset : 0;
    const absl::Duration since = time + step / 2 - absl::UnixEpoch() + absl::Seconds(offset);
    return 100 - kRange / 2 * std::cos(2 * M_PI * absl::FDivDuration(since, day()));
  }
};

std::vector<Grid> Grids() {
  return {{.name = "1 s", .step = absl::Seconds(1), .seasons = {absl::Hours(24)}},
          {.name = "1 s of an hour", .step = absl::Seconds(1), .seasons = {absl::Hours(1)}},
          {.name = "10 s", .step = absl::Seconds(10)},
          {.name = "1 min", .step = absl::Minutes(1)},
          {.name = "5 min", .step = absl::Minutes(5)},
          {.name = "30 min", .step = absl::Minutes(30)},
          {.name = "1 h", .step = absl::Hours(1)},
          {.name = "5 min of a week", .step = absl::Minutes(5), .seasons = {absl::Hours(168)}},
          {.name = "1 h of a week", .step = absl::Hours(1), .seasons = {absl::Hours(168)}}};
}

// One series on a grid, from `days` before the change of the clocks on.
class FedGrid {
 public:
  FedGrid(const Grid& grid, double days)
      : grid_(grid),
        options_(grid.Options()),
        forecaster_(MakeForecaster(options_)),
        next_(grid.change - absl::Ceil(days * grid.day(), absl::Hours(1))) {}

  void Add(int64_t steps) {
    for (int64_t i = 0; i < steps; ++i) {
      const double value = grid_.Truth(next_, options_.time_zone) + kNoise * normal_(random_);
      REQUIRE(forecaster_->Update(next_, value).ok());
      next_ += grid_.step;
    }
  }
  void AddDays(double days) {
    Add(static_cast<int64_t>(days * static_cast<double>(grid_.DaySteps())));
  }
  void Skip(int64_t steps) { next_ += steps * grid_.step; }

  void Restart() {
    auto next = MakeForecaster(options_);
    REQUIRE(next->Restore(forecaster_->Save()).ok());
    forecaster_ = std::move(next);
  }

  Rows At(const Forecaster::Reach& reach, const std::vector<double>& quantiles = kAsked) const {
    auto rows = forecaster_->ForecastAt(reach, quantiles);
    REQUIRE(rows.ok());
    REQUIRE(rows->size() == static_cast<size_t>(reach.rows));
    return *std::move(rows);
  }

  double Truth(int64_t ahead) const {
    return grid_.Truth(next_ + (ahead - 1) * grid_.step, options_.time_zone);
  }
  double Noise() { return kNoise * normal_(random_); }
  int64_t Uniform(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }

 private:
  Grid grid_;
  Forecaster::Options options_;
  std::unique_ptr<Forecaster> forecaster_;
  absl::Time next_;
  std::mt19937 random_{kSeed};
  std::normal_distribution<double> normal_;
};

// Rows over `steps` steps, at most 100.
Forecaster::Reach Over(int64_t steps) {
  const int64_t stride = std::max<int64_t>(1, steps / 100);
  return {.first = 1, .stride = stride, .rows = static_cast<int>(steps / stride)};
}

void CheckAskedAlone(const FedGrid& fed, const Forecaster::Reach& reach) {
  const Rows together = fed.At(reach);
  for (size_t i = 0; i < kAsked.size(); ++i) {
    const Rows alone = fed.At(reach, {kAsked[i]});
    std::vector<double> others = kAsked;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    const Rows without = fed.At(reach, others);
    for (size_t row = 0; row < together.size(); ++row) {
      REQUIRE(alone[row][0] == together[row][i]);
      std::vector<double> expected = together[row];
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(i));
      REQUIRE(without[row] == expected);
    }
  }
}

// Shares of the rows whose actual may lie below the 0.02 and must lie below the 0.95 quantile.
struct Coverage {
  double low_max = 0.15;
  double high_min = 0.8;
};

// Two days of hours tell little of how wide the noise is: a third of the actuals may lie below, and
// of some hundred rows that are drawn, by chance a tenth more.
constexpr Coverage kFreshCoverage = {.low_max = 0.45, .high_min = 0.55};

void CheckRight(FedGrid& fed, const Forecaster::Reach& reach, const Coverage& coverage = {}) {
  const Rows rows = fed.At(reach);
  int below_low = 0;
  int below_high = 0;
  for (int row = 0; row < reach.rows; ++row) {
    const auto& values = rows[static_cast<size_t>(row)];
    REQUIRE(values.front() >= 0);
    REQUIRE(std::is_sorted(values.begin(), values.end()));
    const double truth = fed.Truth(reach.Middle(row));
    INFO("row " << row << " of " << reach.rows << " by " << reach.stride);
    REQUIRE(values[2] == Approx(truth).margin(kNear));
    REQUIRE(values.back() < truth + 2 * kNear);
    const double actual = truth + fed.Noise();
    below_low += actual < values[0] ? 1 : 0;
    below_high += actual < values[5] ? 1 : 0;
  }
  CHECK(below_low <= coverage.low_max * reach.rows);
  CHECK(below_high >= coverage.high_min * reach.rows);
}

// All that a forecast must be, whatever came before it.
void CheckAll(FedGrid& fed, const Grid& grid, const Coverage& coverage = {}) {
  CheckRight(fed, Over(std::max<int64_t>(20, grid.DaySteps() / 24)), coverage);
  CheckRight(fed, Over(grid.DaySteps()), coverage);
  CheckRight(fed, Over(2 * (grid.seasons.back() / grid.step)), coverage);
  CheckAskedAlone(fed, Over(grid.DaySteps()));
  CheckAskedAlone(fed, {.first = 1, .stride = 1, .rows = 20});
  const Rows before = fed.At(Over(grid.DaySteps()));
  fed.Restart();
  CHECK(fed.At(Over(grid.DaySteps())) == before);
}

TEST_CASE("on every grid a fresh series is forecast as soon as there is enough of it") {
  for (const Grid& grid : Grids()) {
    INFO(grid.name);
    FedGrid fed(grid, 2.3);
    fed.AddDays(0.4);
    CheckAskedAlone(fed, {.first = 1, .stride = 1, .rows = 20});  // Before the first fit.
    fed.AddDays(1.7);
    CheckAll(fed, grid, kFreshCoverage);
  }
}

TEST_CASE("on every grid a series that is imported at once is forecast at once") {
  for (const Grid& grid : Grids()) {
    INFO(grid.name);
    FedGrid fed(grid, 9.1);
    fed.AddDays(9.1);
    CheckAll(fed, grid);
  }
}

TEST_CASE("on every grid restarts at odd moments change nothing") {
  for (const Grid& grid : Grids()) {
    INFO(grid.name);
    FedGrid through(grid, 4);
    FedGrid restarted(grid, 4);
    for (FedGrid* fed : {&through, &restarted}) fed->AddDays(3.1);
    const int64_t part = std::max<int64_t>(1, grid.DaySteps() / 31);
    for (int i = 0; i < 8; ++i) {
      for (FedGrid* fed : {&through, &restarted}) fed->Add(part + i);
      restarted.Restart();
      REQUIRE(restarted.At(Over(20)) == through.At(Over(20)));
    }
    CheckAll(restarted, grid);
  }
}

TEST_CASE("on every grid gaps and an outage are bridged") {
  for (const Grid& grid : Grids()) {
    INFO(grid.name);
    FedGrid fed(grid, 8);
    fed.AddDays(2);
    const int64_t gap_max = std::max<int64_t>(1, grid.DaySteps() / 100);
    for (int i = 0; i < 60; ++i) {
      fed.Add(1 + fed.Uniform(0, grid.DaySteps() / 12));
      fed.Skip(fed.Uniform(1, gap_max));
    }
    fed.Skip(grid.DaySteps() / 5);
    fed.AddDays(1.3);
    CheckAll(fed, grid);
  }
}

TEST_CASE("on every grid forecasts keep to the wall clock over both changes of it") {
  const std::vector<absl::Time> changes = {absl::FromUnixSeconds(1'711'846'800),   // 2024-03-31
                                           absl::FromUnixSeconds(1'729'990'800)};  // 2024-10-27
  for (Grid grid : Grids()) {
    grid.zone = "Europe/Berlin";
    for (const absl::Time change : changes) {
      grid.change = change;
      INFO(grid.name << " " << change);
      FedGrid after(grid, 6.4);
      after.AddDays(9.2);
      CheckAll(after, grid);
      FedGrid before(grid, 6.4);
      before.AddDays(6);
      CheckAskedAlone(before, Over(2 * grid.DaySteps()));
      CheckRight(before, Over(grid.DaySteps() / 4));
    }
  }
}

TEST_CASE("a season of two steps, and the longest, are forecast") {
  const Grid shortest = {.name = "two steps",
                         .step = absl::Hours(12) / 12,
                         .seasons = {absl::Hours(2), absl::Hours(168)}};
  FedGrid two(shortest, 40);
  two.AddDays(40);
  CheckAskedAlone(two, Over(4));
  const Grid longest = {
      .name = "a week of seconds", .step = absl::Seconds(1), .seasons = {absl::Hours(168)}};
  FedGrid week(longest, 2.2);
  week.AddDays(2.2);
  CheckAll(week, longest);
  const Grid hours = {.name = "604,800 hours",
                      .step = absl::Hours(1),
                      .seasons = {absl::Hours(24), absl::Hours(604'800)}};
  FedGrid years(hours, 5);
  years.AddDays(5);
  CheckRight(years, Over(2 * 24 * 7));
  CheckAskedAlone(years, {.first = 1, .stride = 600, .rows = 2016});
}

TEST_CASE("rows and reach have limits") {
  const auto forecaster = Fed(3 * kDay, Daily);
  const auto bad = [&](const Forecaster::Reach& reach) {
    return absl::IsInvalidArgument(forecaster->ForecastAt(reach, {0.5}).status());
  };
  CHECK(bad({.first = 0}));
  CHECK(bad({.stride = 0}));
  CHECK(bad({.rows = 0}));
  CHECK(bad({.rows = kForecastRowsMax + 1}));
  CHECK(bad({.first = kForecastReachMax + 1}));
  CHECK(bad({.stride = kForecastReachMax, .rows = 2}));
  CHECK(forecaster->ForecastAt({.first = kForecastReachMax}, {0.5}).ok());
  CHECK(forecaster->ForecastAt({.stride = 3, .rows = 2}, {0.5})->size() == 2);
}

}  // namespace
}  // namespace shadow::testing
