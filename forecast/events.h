// Demand that the operator knows of beforehand.
#pragma once

#include <span>
#include <vector>

#include "forecast/forecaster.h"

namespace shadow {

// The first event that holds the step that begins at `step_start`; null: none.
const Forecaster::Event* EventAt(std::span<const Forecaster::Event> events, absl::Time step_start);

// What `value`, measured during `event`, would have been without it; NaN: cannot be told.
double WithoutEvent(const Forecaster::Event& event, double value);

// Makes a row of quantiles without the event one with it.
void ApplyEvent(const Forecaster::Event& event, std::vector<double>& row);

}  // namespace shadow
