// A forecaster that has learned, made in no time: a copy of one that took its time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "forecast/engine.h"

namespace shadow::bench {

// As the engine that it holds, but it keeps what it knows when it is restored: a saved engine has
// lost its fit, which takes some 12 ms.
class WarmForecaster final : public Forecaster {
 public:
  explicit WarmForecaster(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  absl::Status Update(absl::Time step_start, double value) override {
    return engine_->Update(step_start, value);
  }
  absl::StatusOr<std::vector<std::vector<double>>> Forecast(
      int steps, const std::vector<double>& quantiles) const override {
    return engine_->Forecast(steps, quantiles);
  }
  void SetPast(bool past) override { engine_->SetPast(past); }
  TrustVerdict Trust() const override { return engine_->Trust(); }
  bool FitDue() const override { return engine_->FitDue(); }
  std::unique_ptr<FitWork> BeginFit() override { return engine_->BeginFit(); }
  void FinishFit(std::unique_ptr<FitWork> work) override { engine_->FinishFit(std::move(work)); }
  bool AwaitsFit(absl::Time step) const override { return engine_->AwaitsFit(step); }
  absl::Time LastStep() const override { return engine_->LastStep(); }
  int64_t SampleCount() const override { return engine_->SampleCount(); }
  std::string Save() const override { return engine_->Save(); }
  absl::Status Restore(std::string_view /*saved*/) override { return absl::OkStatus(); }

  const Engine& engine() const { return *engine_; }

 private:
  std::unique_ptr<Engine> engine_;
};

}  // namespace shadow::bench
