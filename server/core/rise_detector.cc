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
    const double mean = state_.errors_mean.value_or(0);
    rising |= *errors_per_second > std::max(2 * mean, kErrorsFloor);
    Average(state_.errors_mean, *errors_per_second);
  }
  if (response_time_ms.has_value()) {
    if (state_.response_mean.has_value()) {
      rising |= *response_time_ms > 1.5 * *state_.response_mean &&
                *response_time_ms > *state_.response_mean + kResponseSlackMs;
    }
    Average(state_.response_mean, *response_time_ms);
  }
  if (errors_per_second.has_value() || response_time_ms.has_value()) state_.rising = rising;
}

}  // namespace shadow
