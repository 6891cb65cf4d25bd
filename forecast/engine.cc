#include "forecast/engine.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr int kForecastMaxSteps = 2016;
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
      history_(shape_.window + shape_.refit) {}

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
  started_ = true;
  last_step_ = index;
  PushCell(shape_.Cell(clock_.Seconds(seconds)), std::min(value, kValueMax));
  return absl::OkStatus();
}

void Engine::PushCell(int64_t cell, double value) {
  const auto push_missing = [this] {
    for (const int64_t back : {int64_t{shape_.week}, int64_t{shape_.day}}) {
      const int64_t like = history_.next() - back;
      if (back > 0 && history_.Holds(like) && !history_.Missing(like)) {
        history_.PushMissing(history_.Filled(like));
        return;
      }
    }
    history_.PushMissing(history_.Filled(history_.next() - 1));
  };
  if (history_.size() == 0) {
    if (std::isnan(value)) return;
    history_.Reset(cell);
  }
  if (cell < history_.next()) return;
  while (history_.next() < cell) push_missing();
  if (std::isnan(value)) {
    push_missing();
    return;
  }
  history_.Push(static_cast<float>(value));
  ++count_;
}

Model* Engine::Fitted() const {
  const int64_t due = FloorDivide(history_.next(), shape_.refit) * shape_.refit;
  if (model_ == nullptr || fit_end_ != due) {
    fit_end_ = due;
    model_ = Model::Fit(shape_, history_, due);
  }
  if (model_ != nullptr) model_->Follow(history_, history_.next());
  return model_.get();
}

absl::StatusOr<std::vector<std::vector<double>>> Engine::Forecast(
    int steps, const std::vector<double>& quantiles) const {
  if (steps < 1 || steps > kForecastMaxSteps) {
    return absl::InvalidArgumentError(
        absl::StrCat("steps: ", steps, " is not 1 to ", kForecastMaxSteps));
  }
  if (const absl::Status status = CheckQuantiles(quantiles); !status.ok()) return status;
  if (count_ == 0) return absl::FailedPreconditionError("there is no history yet");
  Model* model = Fitted();
  if (model == nullptr) return absl::FailedPreconditionError("short");
  return model->Forecast(history_, steps, quantiles);
}

TrustVerdict Engine::Trust() const { return {}; }
std::string Engine::Save() const { return ""; }
absl::Status Engine::Restore(std::string_view) { return absl::OkStatus(); }

}  // namespace shadow
