// The stack: a robust ridge regression of demand on the features, one per bucket of leads.
#pragma once

#include <Eigen/Core>

#include "forecast/mixture/back_test.h"

namespace shadow {

// One row of coefficients a bucket.
using Coefficients = Eigen::Matrix<float, kBuckets, kFeatures, Eigen::RowMajor>;

// What the coefficients are drawn to: a quarter each for the best profiles and for similar days,
// and of the deviation over the last hour what usually remains. `weekly`: the series has a week.
Coefficients PriorCoefficients(bool weekly);

struct StackFit {
  Coefficients coefficients;
  // Per row: the fit of the coefficients that its fold did not see, Bounded.
  Eigen::VectorXf out_of_fold;
};

// `fit` of `row`, kept within the row's levels and the profile of the type of day moved by 1.25
// times the faded deviations from it: what coefficients make of features unlike those they were
// fitted to, as after a level shift, can be far from all of them.
float Bounded(const FeatureRow& row, float fit);

// Least absolute deviations by two rounds of iteratively reweighted least squares, with a ridge
// towards `prior`, whose strength is 0.01, 0.1 and 1 / days: a mean of the three fits, weighing
// (out-of-fold error)^-30, so that a series which repeats itself well is fitted closely and a noisy
// one hardly. `target` has one value a row of `features`, both relative
// to the level at the origin. Sources: R. Koenker and G. Bassett, Regression Quantiles,
// Econometrica 46 (1978); A. E. Hoerl and R. W. Kennard, Ridge Regression, Technometrics 12 (1970);
// D. H. Wolpert, Stacked Generalization, Neural Networks 5 (1992).
StackFit FitStack(const BackTest& test, const FeatureMatrix& features,
                  const Eigen::VectorXf& target, const Coefficients& prior);

}  // namespace shadow
