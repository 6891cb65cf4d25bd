// Intervals that follow how often they were right of late.
#pragma once

#include <array>

#include "forecast/mixture.h"

namespace shadow {

// By bucket and place in kJudged: the factor of a quantile's distance from the median.
using WidthFactors = std::array<std::array<float, kJudged.size()>, kBuckets>;

// Goes through the back-test in order of time and lets every quantile's width follow its misses:
//   theta <- theta + eta (miss - (1 - q)),   factor = exp(theta)
// with eta = 0.5 / (rows of the bucket in a day), so a day of nothing but misses widens by e^0.5
// and one without any at q = 0.9 narrows by e^-0.05. Whatever the demand does, the share of misses
// comes to 1 - q. Within [kFactorMin, kFactorMax]. Sources: I. Gibbs and E. Candes, Adaptive
// Conformal Inference Under Distribution Shift, NeurIPS 2021; A. N. Angelopoulos, E. Candes and R.
// J. Tibshirani, Conformal PID Control for Time Series Prediction, NeurIPS 2023 (quantile
// tracking). `quantiles`: of the mixture, at kJudged, the median first.
WidthFactors Calibrate(const BackTest& test, const JudgedMatrix& quantiles);

// The factor at each of kLevels: as judged above the median, mirrored below it, linear between.
LevelArray FactorsAtLevels(const std::array<float, kJudged.size()>& factors);

}  // namespace shadow
