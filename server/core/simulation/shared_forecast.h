// One forecaster for several replays of the same demand: what one has learned or asked serves all.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "forecast/forecaster.h"

namespace shadow::simulation {

// One thread. Must outlive its readers.
class SharedForecast {
 public:
  explicit SharedForecast(std::unique_ptr<Forecaster> forecaster)
      : forecaster_(std::move(forecaster)) {}

  // A forecaster that is to get the same updates as every other reader. The first of them to get a
  // step moves all on, so they go in lockstep: each gets a step before any asks about what follows
  // it; else Forecast and Trust fail with kFailedPrecondition or kStale. Save gives nothing and
  // Restore takes nothing.
  std::unique_ptr<Forecaster> NewReader();

 private:
  class Reader;
  using Rows = std::vector<std::vector<double>>;

  absl::Status Update(absl::Time step_start, double value);
  absl::StatusOr<Rows> Forecast(int steps, const std::vector<double>& quantiles);
  const TrustVerdict& Trust();

  const std::unique_ptr<Forecaster> forecaster_;
  // What was asked since the last update.
  std::map<std::pair<int, std::vector<double>>, absl::StatusOr<Rows>> forecasts_;
  std::optional<TrustVerdict> trust_;
};

}  // namespace shadow::simulation
