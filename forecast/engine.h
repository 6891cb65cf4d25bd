// The engine behind forecaster.h: a mixture of experts, fitted when due (README.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "forecast/forecaster.h"
#include "forecast/history.h"
#include "forecast/model.h"
#include "forecast/saved_bytes.h"
#include "forecast/shape.h"
#include "forecast/wall_clock.h"

namespace shadow {

// No step index beyond it, either way, is taken: 35,000 years of seconds.
inline constexpr int64_t kStepIndexMax = int64_t{1} << 40;

// One owner at a time; also the const functions fit when that is due. A forecast follows from the
// options and the recent history alone, so neither the order of calls nor a restart changes it.
class Engine final : public Forecaster {
 public:
  explicit Engine(const Options& options);

  absl::Status Update(absl::Time step_start, double value) override;
  absl::StatusOr<std::vector<std::vector<double>>> Forecast(
      int steps, const std::vector<double>& quantiles) const override;
  TrustVerdict Trust() const override;
  absl::Time LastStep() const override;
  int64_t SampleCount() const override { return count_; }
  std::string Save() const override;
  absl::Status Restore(std::string_view saved) override;

 private:
  void PushCell(int64_t cell, double value);
  // The model as it is now. Null: too little history.
  Model* Fitted() const;

  Options options_;
  Shape shape_;
  mutable WallClock clock_;
  History history_;        // By cell of the wall clock.
  bool started_ = false;   // Update was called.
  int64_t last_step_ = 0;  // Step index: seconds since the Unix epoch / step.
  int64_t count_ = 0;
  mutable std::unique_ptr<Model> model_;
  mutable int64_t fit_end_ = 0;  // Of model_.
};

}  // namespace shadow
