#include "forecast/engine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "forecast/events.h"
#include "forecast/experts/young.h"

namespace shadow {
namespace {

constexpr int kForecastMaxSteps = 2016;
constexpr int64_t kStaleSteps = 3;
constexpr double kValueMax = 1e30;  // Beyond any demand; keeps all sums finite.

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

}  // namespace

std::unique_ptr<Forecaster> MakeForecaster(const Forecaster::Options& options) {
  return std::make_unique<Engine>(options);
}

Engine::Engine(const Options& options)
    : options_(options),
      shape_(MakeShape(options)),
      clock_(shape_.calendar ? options.time_zone : absl::UTCTimeZone()),
      history_(shape_.window + shape_.refit) {
  if (shape_.coarse) tail_.emplace(shape_.cell_steps());
}

std::unique_ptr<Engine> Engine::Clone() const {
  auto clone = std::make_unique<Engine>(options_);
  clone->clock_ = clock_;
  clone->history_ = history_;
  clone->tail_ = tail_;
  clone->started_ = started_;
  clone->last_step_ = last_step_;
  clone->missing_run_ = missing_run_;
  if (model_ != nullptr) clone->model_ = std::make_unique<Model>(*model_);
  clone->fit_end_ = fit_end_;
  clone->fit_known_ = fit_known_;
  clone->fit_tried_ = fit_tried_;
  return clone;
}

absl::Time Engine::LastStep() const {
  if (!started_) return absl::InfinitePast();
  return absl::FromUnixSeconds(last_step_ * shape_.step_seconds);
}

absl::Status Engine::Update(absl::Time step_start, double value) {
  const int64_t seconds = absl::ToUnixSeconds(step_start);
  if (absl::FromUnixSeconds(seconds) != step_start || seconds % shape_.step_seconds != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::FormatTime(step_start, absl::UTCTimeZone()), " is not on the grid of ",
                     shape_.step_seconds, " s"));
  }
  if (value < 0 || std::isinf(value)) {
    return absl::InvalidArgumentError(absl::StrCat(
        value, " is not a demand: finite and not negative, or NaN where it is missing"));
  }
  const int64_t index = seconds / shape_.step_seconds;
  if (index <= -kStepIndexMax || index >= kStepIndexMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(seconds, " s since 1970 is no time of a sample"));
  }
  if (started_ && index <= last_step_) {
    return absl::OutOfRangeError(absl::StrCat(absl::FormatTime(step_start, absl::UTCTimeZone()),
                                              " is not after the last step, ",
                                              absl::FormatTime(LastStep(), absl::UTCTimeZone())));
  }
  missing_run_ = std::isnan(value) ? missing_run_ + 1 : 0;
  if (started_ && std::isnan(value)) missing_run_ += index - last_step_ - 1;
  TakeFit();
  started_ = true;
  last_step_ = index;
  const Event* event = EventAt(options_.events, step_start);
  if (event != nullptr && !std::isnan(value)) value = WithoutEvent(*event, value);
  PushStep(index, std::min(value, kValueMax));  // NaN stays.
  if (model_ != nullptr) model_->Follow(history_, history_.next());
  return absl::OkStatus();
}

void Engine::PushStep(int64_t index, double value) {
  const int64_t cell = CellOf(index);
  if (!tail_.has_value()) {
    PushCell(cell, value);
    return;
  }
  const auto closed = tail_->Push(cell, value);
  if (closed.has_value()) PushCell(closed->cell, closed->mean);
}

void Engine::PushCell(int64_t cell, double value) {
  if (history_.size() == 0 || cell - history_.next() >= history_.capacity()) {
    if (std::isnan(value)) return;
    history_.Reset(cell);
    model_.reset();
    fit_known_ = false;
  }
  if (cell < history_.next())
    return;  // The hour that a clock change repeats: the first one counts.
  const std::array<int64_t, 2> periods = {shape_.week, shape_.day};
  while (history_.next() < cell) history_.PushLike(periods);
  if (std::isnan(value)) {
    history_.PushLike(periods);
  } else {
    history_.Push(static_cast<float>(value));
  }
}

int64_t Engine::SampleCount() const {
  if (!tail_.has_value()) return history_.present();
  return static_cast<int64_t>(static_cast<double>(history_.present()) * shape_.cell_steps());
}

bool Engine::FitLost() const {
  return fit_known_ && !fit_tried_ && model_ == nullptr && fit_end_ > history_.first() &&
         history_.next() <= fit_end_ + shape_.refit;
}

int64_t Engine::DueCell() const {
  const int64_t past = (history_.next() - shape_.refit_phase) % shape_.refit;
  return history_.next() - (past < 0 ? past + shape_.refit : past);
}

bool Engine::RefitDue() const {
  return !fit_known_ || (model_ == nullptr ? history_.next() : DueCell()) > fit_end_;
}

bool Engine::FitDue() const { return !next_fit_.has_value() && (FitLost() || RefitDue()); }

void Engine::FitNow() const {
  if (FitLost()) {
    model_ = Model::Fit(shape_, history_, fit_end_);
    if (model_ != nullptr) model_->Follow(history_, history_.next());
    fit_tried_ = true;
  }
  if (!RefitDue()) return;
  NextFit& next = next_fit_.emplace();
  next.end = DueCell();
  if (next.end > history_.first()) next.model = Model::Fit(shape_, history_, next.end);
  if (next.model == nullptr) {  // The first one need not wait for its turn.
    next = {.model = Model::Fit(shape_, history_, history_.next()), .end = history_.next()};
  }
  if (!options_.defer_fits) TakeFit();
}

void Engine::TakeFit() const {
  if (!next_fit_.has_value()) return;
  model_ = std::move(next_fit_->model);
  fit_end_ = next_fit_->end;
  fit_known_ = fit_tried_ = true;
  next_fit_.reset();
}

bool Engine::Fit() {
  if (FitDue()) FitNow();
  return model_ != nullptr || (next_fit_.has_value() && next_fit_->model != nullptr);
}

Model* Engine::Fitted() const {
  if (!options_.defer_fits && FitDue()) FitNow();
  if (model_ != nullptr) model_->Follow(history_, history_.next());
  return model_.get();
}

std::vector<int> Engine::Leads(int steps) const {
  std::vector<int> leads;
  leads.reserve(static_cast<size_t>(steps));
  for (int step = 1; step <= steps; ++step) {
    const int64_t lead = CellOf(last_step_ + step) - history_.next() + 1;
    leads.push_back(static_cast<int>(std::max<int64_t>(1, lead)));
    // The hour that a clock change repeats.
    if (step > 1) leads.back() = std::max(leads.back(), leads[leads.size() - 2]);
  }
  return leads;
}

absl::StatusOr<std::vector<std::vector<double>>> Engine::Forecast(
    int steps, const std::vector<double>& quantiles) const {
  if (steps < 1 || steps > kForecastMaxSteps) {
    return absl::InvalidArgumentError(
        absl::StrCat("steps: ", steps, " is not 1 to ", kForecastMaxSteps));
  }
  if (const absl::Status status = CheckQuantiles(quantiles); !status.ok()) return status;
  const bool seen = history_.present() > 0;
  if (!seen && !(tail_.has_value() && tail_->seen())) {
    return absl::FailedPreconditionError("there is no history yet");
  }
  std::vector<std::vector<double>> rows(static_cast<size_t>(steps));
  if (!seen) {
    rows.assign(rows.size(), std::vector<double>(quantiles.size(), tail_->level()));
    tail_->Refine(std::vector<double>(rows.size(), tail_->level()), quantiles, rows);
  } else if (tail_.has_value()) {
    std::vector<double> with_median = quantiles;
    const auto above = std::lower_bound(with_median.begin(), with_median.end(), 0.5);
    const auto middle = above - with_median.begin();
    const bool asked = above != with_median.end() && *above == 0.5;
    if (!asked) with_median.insert(above, 0.5);
    rows = CellRows(Leads(steps), with_median);
    std::vector<double> medians;
    for (auto& row : rows) {
      medians.push_back(row[static_cast<size_t>(middle)]);
      if (!asked) row.erase(row.begin() + middle);
    }
    tail_->Refine(medians, quantiles, rows);
  } else {
    rows = CellRows(Leads(steps), quantiles);
  }
  if (!options_.events.empty()) {
    for (int step = 1; step <= steps; ++step) {
      const absl::Time time = absl::FromUnixSeconds((last_step_ + step) * shape_.step_seconds);
      const Event* event = EventAt(options_.events, time);
      if (event != nullptr) ApplyEvent(*event, rows[static_cast<size_t>(step - 1)]);
    }
  }
  return rows;
}

std::vector<std::vector<double>> Engine::CellRows(const std::vector<int>& leads,
                                                  const std::vector<double>& quantiles) const {
  Model* model = Fitted();
  const auto of = [&](std::span<const int> wanted) {
    return model != nullptr ? model->Forecast(history_, wanted, quantiles)
                            : YoungForecast(history_, wanted, quantiles);
  };
  if (!tail_.has_value()) return of(leads);
  std::vector<int> cells = leads;
  cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
  const auto by_cell = of(cells);
  std::vector<std::vector<double>> rows;
  rows.reserve(leads.size());
  size_t at = 0;
  for (const int lead : leads) {
    while (cells[at] < lead) ++at;
    rows.push_back(by_cell[at]);
  }
  return rows;
}

TrustVerdict Engine::Trust() const {
  const int64_t needed = 2 * shape_.day;
  if (history_.present() < needed) {
    return {ForecastTrust::kTooLittleData,
            absl::StrFormat("%d cells of %d s hold a value; two of the shortest seasons have %d",
                            history_.present(), shape_.day_seconds / shape_.day, needed)};
  }
  if (missing_run_ >= kStaleSteps) {
    return {ForecastTrust::kStale,
            absl::StrFormat("the last %d steps hold no value", missing_run_)};
  }
  const Model* model = Fitted();
  if (model == nullptr) {
    return {ForecastTrust::kTooLittleData, "there is too little history to fit anything"};
  }
  return model->Verdict();
}

int64_t Engine::StateBytes() const {
  return static_cast<int64_t>(sizeof(*this)) + history_.Bytes() +
         (model_ == nullptr ? 0 : model_->Bytes()) +
         (next_fit_.has_value() && next_fit_->model ? next_fit_->model->Bytes() : 0) +
         (tail_.has_value() ? FineTail::kBytes : 0);
}

}  // namespace shadow
