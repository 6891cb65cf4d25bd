// The tasks of a forecast benchmark on disk: histories in, quantile paths out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "forecast/forecaster.h"

namespace shadow::testing {

// One row of manifest.csv (task_id,series,step_s,n_train,horizon,seasons,tz).
struct Task {
  std::string id;
  std::string series;
  absl::Duration step;
  int horizon = 0;  // Steps.
  absl::TimeZone zone;
};

// A row of a task or of what followed it; `value` NaN: missing.
struct TimedValue {
  absl::Time time;
  double value = 0;
};

// The quantiles that are asked for: quantiles.txt of `folder`, ascending.
absl::StatusOr<std::vector<double>> ReadQuantiles(const std::string& folder);

absl::StatusOr<std::vector<Task>> ReadManifest(const std::string& folder);

// `<folder>/<id>.csv`: timestamp,value, ISO 8601 in UTC.
absl::StatusOr<std::vector<TimedValue>> ReadHistory(const std::string& folder,
                                                    const std::string& id);

// What a forecast goes by: right after an import of the history, a fit of all of it; in a pool that
// runs, the last one that counts, which is between a cell and an hour old.
enum class Fits { kImported, kRunning };

// Feeds `history` to a new forecaster with days of 24 h and weeks, and asks for the path. One row a
// step.
absl::StatusOr<std::vector<std::vector<double>>> RunTask(const Task& task,
                                                         const std::vector<TimedValue>& history,
                                                         const std::vector<double>& quantiles,
                                                         Fits fits = Fits::kImported);

}  // namespace shadow::testing
