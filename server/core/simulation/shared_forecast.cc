#include "server/core/simulation/shared_forecast.h"

#include <string>
#include <string_view>

namespace shadow::simulation {

class SharedForecast::Reader final : public Forecaster {
 public:
  explicit Reader(SharedForecast& shared) : shared_(shared) {}

  absl::Status Update(absl::Time step_start, double value) override {
    if (step_start <= last_step_) return absl::OutOfRangeError("not after the last step");
    if (step_start > shared_.forecaster_->LastStep()) {
      const absl::Status updated = shared_.Update(step_start, value);
      if (!updated.ok()) return updated;
    }
    last_step_ = step_start;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::vector<double>>> Forecast(
      int steps, const std::vector<double>& quantiles) const override {
    if (Behind()) return absl::FailedPreconditionError("another reader is ahead");
    return shared_.Forecast(steps, quantiles);
  }

  TrustVerdict Trust() const override {
    if (Behind()) return {.trust = ForecastTrust::kStale, .reason = "another reader is ahead"};
    return shared_.Trust();
  }

  absl::Time LastStep() const override { return last_step_; }
  int64_t SampleCount() const override { return shared_.forecaster_->SampleCount(); }
  std::string Save() const override { return ""; }
  absl::Status Restore(std::string_view /*saved*/) override {
    return absl::InvalidArgumentError("a shared forecast keeps no state of its own");
  }

 private:
  bool Behind() const { return last_step_ != shared_.forecaster_->LastStep(); }

  SharedForecast& shared_;
  absl::Time last_step_ = absl::InfinitePast();
};

std::unique_ptr<Forecaster> SharedForecast::NewReader() { return std::make_unique<Reader>(*this); }

absl::Status SharedForecast::Update(absl::Time step_start, double value) {
  forecasts_.clear();
  trust_.reset();
  return forecaster_->Update(step_start, value);
}

absl::StatusOr<SharedForecast::Rows> SharedForecast::Forecast(
    int steps, const std::vector<double>& quantiles) {
  std::pair<int, std::vector<double>> key(steps, quantiles);
  const auto known = forecasts_.find(key);
  if (known != forecasts_.end()) return known->second;
  auto rows = forecaster_->Forecast(steps, quantiles);
  return forecasts_.emplace(std::move(key), std::move(rows)).first->second;
}

const TrustVerdict& SharedForecast::Trust() {
  if (!trust_.has_value()) trust_ = forecaster_->Trust();
  return *trust_;
}

}  // namespace shadow::simulation
