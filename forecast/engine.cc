#include "forecast/engine.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "forecast/events.h"

namespace shadow {
namespace {

constexpr int64_t kStaleSteps = 3;
constexpr double kValueMax = 1e30;  // Beyond any demand; keeps all sums finite.

}  // namespace

std::unique_ptr<Forecaster> MakeForecaster(const Forecaster::Options& options) {
  return std::make_unique<Engine>(options);
}

Engine::Engine(const Options& options)
    : options_(options),
      shape_(MakeShape(options)),
      clock_(shape_.calendar ? options.time_zone : absl::UTCTimeZone()),
      history_(shape_.window + shape_.fit_age_max),
      schedule_({.refit = shape_.refit,
                 .past_refit = std::max(shape_.refit, shape_.day),
                 .phase = shape_.refit_phase,
                 .age_max = shape_.fit_age_max}) {
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
  clone->past_ = past_;
  clone->schedule_ = schedule_;
  const auto copy = [](const MadeFit& fit) {
    MadeFit made{.model = nullptr, .begun = false, .made = fit.made};
    if (fit.model != nullptr) made.model = std::make_unique<Model>(*fit.model);
    return made;
  };
  clone->counting_ = copy(counting_);
  clone->due_ = copy(due_);
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
  started_ = true;
  last_step_ = index;
  const Event* event = EventAt(options_.events, step_start);
  if (event != nullptr && !std::isnan(value)) value = WithoutEvent(*event, value);
  if (!past_) schedule_.EndPast();
  const int64_t before = history_.next();
  PushStep(index, std::min(value, kValueMax));  // NaN stays.
  if (history_.next() > before) CloseCells();
  if (counting_.model != nullptr) counting_.model->Follow(history_, history_.next());
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
    BeginAnew(cell);
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

void Engine::BeginAnew(int64_t cell) {
  history_.Reset(cell);
  schedule_.Reset();
  counting_ = {};
  due_ = {};
  of_all_.reset();
  series_ = std::make_shared<const bool>(true);
}

int64_t Engine::SampleCount() const {
  if (!tail_.has_value()) return history_.present();
  return static_cast<int64_t>(static_cast<double>(history_.present()) * shape_.cell_steps());
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
         (counting_.model == nullptr ? 0 : counting_.model->Bytes()) +
         (due_.model == nullptr ? 0 : due_.model->Bytes()) +
         (of_all_ == nullptr ? 0 : of_all_->Bytes()) + (tail_.has_value() ? FineTail::kBytes : 0);
}

}  // namespace shadow
