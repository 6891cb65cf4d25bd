// Rate curves: demand per step, read from a trace, and the arrivals that follow it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow::demo {

inline constexpr size_t kCurveStepsMax = 1'000'000;
inline constexpr double kRateMax = 100'000;  // Requests per second.

// The last column of a CSV file, one value a row; a first row without a number is a header.
// kNotFound: no such file. kInvalidArgument: names the line that is not a number in [0, kRateMax],
// or the file is empty or has more than kCurveStepsMax rows.
absl::StatusOr<std::vector<double>> ReadCurve(const std::string& path);

// All values times one factor, so that the highest of them is `peak`. kInvalidArgument: all are 0.
absl::StatusOr<std::vector<double>> ScaleToPeak(std::vector<double> curve, double peak);

// Send times since the start, ascending. Step i holds rates[i] x step arrivals, fractions carried
// to the next step (2.5 and 2.5 give 2 and 3), at times drawn uniformly within the step: a Poisson
// process given its count. The same seed gives the same times.
std::vector<absl::Duration> Arrivals(const std::vector<double>& rates, absl::Duration step,
                                     uint64_t seed);

// Writes `timestamp,value` rows whose last one is for the step that begins at `last_step`.
// kUnavailable: the file cannot be written.
absl::Status WriteHistory(const std::string& path, const std::vector<double>& values,
                          absl::Time last_step, absl::Duration step);

}  // namespace shadow::demo
