#include "forecast/events.h"

#include <limits>

namespace shadow {

const Forecaster::Event* EventAt(std::span<const Forecaster::Event> events, absl::Time step_start) {
  for (const Forecaster::Event& event : events) {
    if (step_start >= event.start_time && step_start < event.end_time) return &event;
  }
  return nullptr;
}

double WithoutEvent(const Forecaster::Event& event, double value) {
  if (event.multiplier.has_value() && *event.multiplier > 0) return value / *event.multiplier;
  return std::numeric_limits<double>::quiet_NaN();
}

void ApplyEvent(const Forecaster::Event& event, std::vector<double>& row) {
  for (double& value : row) {
    value = event.demand.has_value() ? *event.demand : value * event.multiplier.value_or(1);
  }
}

}  // namespace shadow
