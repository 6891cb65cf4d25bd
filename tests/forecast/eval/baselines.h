// Forecasts that need no model, which every forecaster has to beat.
#pragma once

#include <span>
#include <vector>

namespace shadow::testing {

// Quantile paths, one row a step ahead; columns as `quantiles`. Values may be negative.
using Paths = std::vector<std::vector<double>>;

// The series that a baseline continues.
struct BaselineInput {
  std::span<const double> history;  // Oldest first; NaN: missing. Not all of it.
  size_t day = 0;                   // Steps.
  size_t horizon = 0;               // Steps.
  std::span<const double> quantiles;
};

// The value of one day, or one week, before, plus the quantiles of what that missed in the history;
// where it is not known yet, that of two days, or weeks, before, and so on. A week needs a history
// of two; with less it is a day.
Paths SeasonalNaive(const BaselineInput& input, bool weekly);

// The mean of the slot in the last 4 weeks, or in the last 7 days of a history below two weeks,
// plus the quantiles of what that missed there.
Paths SameSlotMean(const BaselineInput& input);

// Type 7 of Hyndman and Fan: of 1, 2, 3 the 0.8 quantile is 2.6. `sorted`: at least one.
double QuantileOf(std::span<const double> sorted, double probability);

}  // namespace shadow::testing
