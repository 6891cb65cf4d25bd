// What Engine forecasts: rows of cells, and of steps finer than those.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "absl/strings/str_cat.h"
#include "forecast/engine.h"
#include "forecast/events.h"
#include "forecast/experts/young.h"
#include "forecast/steps/cell_path.h"

namespace shadow {
namespace {

absl::Status CheckQuantiles(const std::vector<double>& quantiles) {
  if (quantiles.empty()) return absl::InvalidArgumentError("quantiles: none are given");
  for (size_t i = 0; i < quantiles.size(); ++i) {
    const double quantile = quantiles[i];
    if (!(quantile > 0 && quantile < 1)) {
      return absl::InvalidArgumentError(absl::StrCat("quantiles: ", quantile, " is not in (0, 1)"));
    }
    if (i > 0 && quantile <= quantiles[i - 1]) {
      return absl::InvalidArgumentError(
          absl::StrCat("quantiles: ", quantile, " does not ascend from ", quantiles[i - 1]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckReach(const Forecaster::Reach& reach) {
  if (reach.rows < 1 || reach.rows > kForecastRowsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows: ", reach.rows, " is not 1 to ", kForecastRowsMax));
  }
  if (reach.first < 1 || reach.stride < 1 || reach.first > kForecastReachMax ||
      reach.stride > kForecastReachMax || reach.Last() > kForecastReachMax) {
    return absl::InvalidArgumentError(absl::StrCat("rows of ", reach.stride,
                                                   " steps from the step ", reach.first,
                                                   " on are not within 1 to ", kForecastReachMax));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::vector<double>>> Engine::Forecast(
    int steps, const std::vector<double>& quantiles) const {
  if (steps < 1 || steps > kForecastRowsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("steps: ", steps, " is not 1 to ", kForecastRowsMax));
  }
  return ForecastAt({.first = 1, .stride = 1, .rows = steps}, quantiles);
}

absl::StatusOr<std::vector<std::vector<double>>> Engine::ForecastAt(
    const Reach& reach, const std::vector<double>& quantiles) const {
  if (const absl::Status status = CheckReach(reach); !status.ok()) return status;
  if (const absl::Status status = CheckQuantiles(quantiles); !status.ok()) return status;
  if (history_.present() == 0 && !(tail_.has_value() && tail_->seen())) {
    return absl::FailedPreconditionError("there is no history yet");
  }
  std::vector<int64_t> ahead;
  ahead.reserve(static_cast<size_t>(reach.rows));
  for (int row = 0; row < reach.rows; ++row) ahead.push_back(reach.Middle(row));
  auto rows = tail_.has_value() ? FineRows(ahead, quantiles) : CellRows(LeadsAt(ahead), quantiles);
  if (options_.events.empty()) return rows;
  for (size_t row = 0; row < rows.size(); ++row) {
    const absl::Time time = absl::FromUnixSeconds((last_step_ + ahead[row]) * shape_.step_seconds);
    const Event* event = EventAt(options_.events, time);
    if (event != nullptr) ApplyEvent(*event, rows[row]);
  }
  return rows;
}

std::vector<int> Engine::LeadsAt(std::span<const int64_t> ahead) const {
  std::vector<int> leads;
  leads.reserve(ahead.size());
  int64_t before = 1;
  for (const int64_t steps : ahead) {
    // The hour that a clock change repeats is that of before.
    before = std::max(before, CellOf(last_step_ + steps) - history_.next() + 1);
    leads.push_back(static_cast<int>(before));
  }
  return leads;
}

double Engine::CellsAhead(double index) const {
  const double step = std::floor(index);
  const auto seconds = static_cast<int64_t>(step) * shape_.step_seconds;
  const int64_t from_next =
      clock_.Seconds(seconds) * shape_.day - history_.next() * shape_.day_seconds;
  const double within = (index - step) * static_cast<double>(shape_.step_seconds) * shape_.day;
  const double cells =
      (static_cast<double>(from_next) + within) / static_cast<double>(shape_.day_seconds);
  return cells;
}

std::vector<std::vector<double>> Engine::FineRows(std::span<const int64_t> ahead,
                                                  const std::vector<double>& quantiles) const {
  std::vector<std::vector<double>> rows(ahead.size(), std::vector<double>(quantiles.size()));
  if (history_.present() == 0) {
    const std::vector<double> medians(ahead.size(), tail_->level());
    for (auto& row : rows) row.assign(quantiles.size(), tail_->level());
    tail_->Refine({.level_median = tail_->level(), .medians = medians, .ahead = ahead}, quantiles,
                  rows);
    return rows;
  }
  std::vector<double> with_median = quantiles;
  const auto middle = std::lower_bound(with_median.begin(), with_median.end(), 0.5);
  const auto median = static_cast<size_t>(middle - with_median.begin());
  if (middle == with_median.end() || *middle != 0.5) with_median.insert(middle, 0.5);
  constexpr double kMiddle = 0.5;  // Of a step.
  std::vector<CellPlace> places;
  double before = 0;
  for (const int64_t steps : ahead) {
    // The hour that a clock change repeats is that of before.
    before = std::max(before, CellsAhead(static_cast<double>(last_step_ + steps) + kMiddle));
    places.push_back(CellPlaceAt(before));
  }
  const double level_place = CellsAhead(static_cast<double>(last_step_) + kMiddle) -
                             tail_->LevelAge() / shape_.cell_steps();
  places.push_back(CellPlaceAt(std::max(0.0, level_place)));
  const std::vector<int> leads = LeadsOf(places);
  const auto cells = CellRows(leads, with_median);
  const int64_t last = history_.next() - 1;
  const CellPath path(leads, cells,
                      history_.Missing(last) ? std::numeric_limits<double>::quiet_NaN()
                                             : static_cast<double>(history_.Filled(last)));
  const double level_median = path.At(places.back(), median);
  std::vector<double> medians;
  for (size_t row = 0; row < rows.size(); ++row) {
    medians.push_back(path.At(places[row], median));
    for (size_t i = 0; i < quantiles.size(); ++i) {
      const bool shifted = with_median.size() > quantiles.size() && i >= median;
      rows[row][i] = path.At(places[row], i + (shifted ? 1 : 0));
    }
  }
  tail_->Refine({.level_median = level_median, .medians = medians, .ahead = ahead}, quantiles,
                rows);
  return rows;
}

std::vector<std::vector<double>> Engine::CellRows(std::span<const int> leads,
                                                  const std::vector<double>& quantiles) const {
  Model* model = Fitted();
  return model != nullptr ? model->Forecast(history_, leads, quantiles)
                          : YoungForecast(history_, leads, quantiles);
}

}  // namespace shadow
