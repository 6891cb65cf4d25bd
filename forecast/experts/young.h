// Forecasts of a series that is too short to fit anything: the last value, with errors that grow.
#pragma once

#include <span>
#include <vector>

#include "forecast/history.h"

namespace shadow {

// Quantiles `leads` (ascending, from 1) cells ahead, one row each: the last value plus the quantile
// of the changes over 1, 2, 4, ... cells (the next longer span; with fewer than 8 changes a shorter
// one, stretched by the square root of the ratio, as a random walk grows). Never below 0. `history`
// holds a value. Worked: 10, 20, 30, 40: every change over one cell is 10, so 50 one ahead and
// 40 + 10 x sqrt(2) two ahead.
std::vector<std::vector<double>> YoungForecast(const History& history, std::span<const int> leads,
                                               std::span<const double> quantiles);

// The order statistic at position (n + 1) x probability of `sorted`, interpolated, and never beyond
// the least and the greatest: of 1, 2, 3, 4 the 0.5 quantile is 2.5, the 0.9 quantile 4. 0: none.
// Source: Weibull's plotting position, type 6 of R. J. Hyndman and Y. Fan, Sample Quantiles in
// Statistical Packages, The American Statistician 50 (1996).
double OrderStatistic(std::span<const float> sorted, double probability);

}  // namespace shadow
