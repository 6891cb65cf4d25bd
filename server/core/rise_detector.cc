#include "server/core/rise_detector.h"

#include <algorithm>

namespace shadow {
namespace {

void Average(std::optional<double>& mean, double value) {
  mean = mean.has_value() ? *mean + RiseDetector::kWeight * (value - *mean) : value;
}

}  // namespace

void RiseDetector::Update(std::optional<double> errors_per_second,
                          std::optional<double> response_time_ms) {
  bool rising = false;
  if (errors_per_second.has_value()) {
    const double mean = errors_mean_.value_or(0);
    rising |= *errors_per_second > std::max(2 * mean, kErrorsFloor);
    Average(errors_mean_, *errors_per_second);
  }
  if (response_time_ms.has_value()) {
    if (response_mean_.has_value()) {
      rising |= *response_time_ms > 1.5 * *response_mean_ &&
                *response_time_ms > *response_mean_ + kResponseSlackMs;
    }
    Average(response_mean_, *response_time_ms);
  }
  if (errors_per_second.has_value() || response_time_ms.has_value()) rising_ = rising;
}

}  // namespace shadow
