#include "forecast/shape.h"

#include <algorithm>

namespace shadow {
namespace {

constexpr int kWindowDays = 42;
constexpr int kWindowWeeks = 6;
constexpr int kHorizonCellsMin = 96;  // With shorter days the back-test looks two days ahead.

}  // namespace

int64_t Shape::Cell(int64_t wall_seconds) const {
  const int64_t scaled = wall_seconds * day;
  return scaled >= 0 ? scaled / day_seconds : -((-scaled + day_seconds - 1) / day_seconds);
}

Shape MakeShape(const Forecaster::Options& options) {
  Shape shape;
  shape.step_seconds = absl::ToInt64Seconds(options.step);
  shape.day_seconds = absl::ToInt64Seconds(options.season_lengths.front());
  const int64_t steps = shape.day_seconds / shape.step_seconds;
  shape.coarse = steps > kDayCellsMax;
  shape.day = shape.coarse ? kCoarseDayCells : static_cast<int>(steps);
  shape.calendar = options.season_lengths.front() == absl::Hours(24);
  const int longest = kWindowCellsMax / 3 / shape.day;  // Days.
  for (const absl::Duration season : options.season_lengths) {
    const int64_t seconds = absl::ToInt64Seconds(season);
    const int64_t days = seconds / shape.day_seconds;
    if (seconds % shape.day_seconds == 0 && days > 1 && days <= longest) {
      shape.week = static_cast<int>(days) * shape.day;
    }
  }
  if (shape.week == 0 && shape.calendar) shape.week = 7 * shape.day;
  shape.window =
      std::min(kWindowCellsMax, std::max(kWindowDays * shape.day, kWindowWeeks * shape.week));
  shape.refit = std::max(1, shape.day / std::max(1, options.fits_per_season));
  shape.refit_phase = static_cast<int>(options.fit_phase * shape.refit);
  shape.fit_age_max = std::max(shape.refit + 1, shape.day);
  shape.horizon = shape.day >= kHorizonCellsMin ? shape.day : 2 * shape.day;
  return shape;
}

}  // namespace shadow
