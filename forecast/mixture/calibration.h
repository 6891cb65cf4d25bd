// Intervals that follow how often they were right of late.
#pragma once

#include <array>

#include "forecast/mixture/mixture.h"

namespace shadow {

// By bucket and place in kJudged: the factor of a quantile's distance from the median.
using WidthFactors = std::array<std::array<float, kJudged.size()>, kBuckets>;

// Goes through the back-test in order of time and lets the width of every quantile follow its
// misses:
//   factor <- factor x exp(eta (miss - usual)),   eta = 0.3 / (rows of the bucket in a day)
// where `usual` is the share of misses of the whole back-test. So a day of nothing but misses
// widens by e^0.3, and what was as good lately as before stays as it is. Within [0.7, 2].
// `quantiles`: of the mixture, at kJudged, the median first. Sources: I. Gibbs and E. Candes,
// Adaptive Conformal Inference Under Distribution Shift, NeurIPS 2021; A. N. Angelopoulos, E.
// Candes and R. J. Tibshirani, Conformal PID Control for Time Series Prediction, NeurIPS 2023
// (quantile tracking).
WidthFactors Calibrate(const BackTest& test, const JudgedMatrix& quantiles);

// The factor at each of kLevels: as judged above the median, mirrored below it, linear between.
LevelArray FactorsAtLevels(const std::array<float, kJudged.size()>& factors);

}  // namespace shadow
