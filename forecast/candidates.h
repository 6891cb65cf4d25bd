// The simple point forecasts that SeasonalNaive chooses among.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "forecast/history.h"

namespace shadow {

// Demand at step o + h, seen from step o, is one of
//   level:     the mean of the last `window` steps up to o
//   seasonal:  base(o + h) + rho x offset(o)
//              base(t) = mean of the values 1, ..., `depth` seasons before t (more seasons if h is
//              longer) offset(o) = mean over the last `window` steps i up to o of y(i) - base(i)
// both without missing values, and never below 0. Source: the seasonal naive method of Hyndman and
// Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 5.2, with a level correction.
struct Candidate {
  int64_t season = 0;  // Steps; 0: level.
  int64_t depth = 1;
  int64_t window = 1;
  double rho = 0;
};

inline constexpr int64_t kDepthMax = 3;
inline constexpr int64_t kWindowMax = 16;

// The level of the last step comes first: it is what "carrying the last value forward" means.
// `seasons`: steps, shortest first.
std::vector<Candidate> MakeCandidates(const std::vector<int64_t>& seasons);

// base(t) of a seasonal candidate for a forecast `lead` steps ahead: the first lag is the least
// multiple of the season that is not below `lead`. NaN: all of them are missing.
double SeasonalBase(const History& history, const Candidate& candidate, int64_t target,
                    int64_t lead);

// offset(o) of a seasonal candidate. NaN: nothing to compare.
double SeasonalOffset(const History& history, const Candidate& candidate, int64_t origin);

// Mean of the last candidate.window steps. NaN: all of them are missing.
double Level(const History& history, const Candidate& candidate, int64_t origin);

// The whole forecast of step origin + lead. Reads nothing after `origin`. NaN: not possible.
double Predict(const History& history, const Candidate& candidate, int64_t origin, int64_t lead);

// Predict for all `candidates` (of MakeCandidates), sharing what they share.
void PredictAll(const History& history, const std::vector<Candidate>& candidates, int64_t origin,
                int64_t lead, std::vector<double>& predictions);

}  // namespace shadow
