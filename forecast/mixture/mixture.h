// How much each expert counts, per bucket of leads, and how their quantiles become one.
#pragma once

#include <Eigen/Core>
#include <array>

#include "forecast/mixture/back_test.h"

namespace shadow {

enum Expert : size_t {
  kStack,
  kLogStack,
  kDayNaive,
  kWeekNaive,
  kLevelOnly,
  kSimilarOnly,
  kMovedDay,
  kSlot
};
inline constexpr size_t kExperts = 8;
inline constexpr size_t kDressed = 7;  // The experts before kSlot have a Dressing.

// Quantiles at kJudged, one row a row of the back-test.
using JudgedMatrix = Eigen::Matrix<float, Eigen::Dynamic, kJudged.size()>;

// Mean back-test loss (pinball, summed over kJudged) of one expert, by bucket; NaN: no rows.
struct ExpertLoss {
  std::array<double, kBuckets> whole{};   // Over the window, by BackTest::weight.
  std::array<double, kBuckets> plain{};   // The same by plain_weight.
  std::array<double, kBuckets> recent{};  // Over about the last day.
};
ExpertLoss LossOf(const BackTest& test, const JudgedMatrix& quantiles);

using MixtureWeights = std::array<std::array<float, kExperts>, kBuckets>;

// w_j(b) ~ L_jb^-near(b) R_jb^-3 T_j^-total(b): L the loss over the window, R of about the
// last day, T the sum of the plain L over buckets. Weights of a bucket sum to 1. Sources: V. Vovk,
// Aggregating Strategies, COLT 1990; N. Cesa-Bianchi and G. Lugosi, Prediction, Learning, and
// Games, 2006; P. Gaillard and Y. Goude, Forecasting Electricity Consumption by Aggregating
// Experts, 2015.
MixtureWeights Weigh(const std::array<ExpertLoss, kExperts>& losses);

// At kLevels: what is added per unit of the experts' disagreement (the weighted standard deviation
// of their medians), and the factor of the distance from the median. Quantiles are averaged, not
// distributions: K. C. Lichtendahl et al., Is It Better to Average Probabilities or Quantiles?,
// Management Science 59 (2013); averages are too narrow when experts disagree.
inline constexpr std::array<float, kLevels.size()> kDisagree = {
    -0.80F, -0.56F, -0.40F, -0.18F, 0, 0.15F, 0.24F, 0.40F, 0.56F, 0.72F, 0.80F};
inline constexpr std::array<float, kLevels.size()> kWiden = {
    1.38F, 1.07F, 1.02F, 0.97F, 1, 0.97F, 0.97F, 1.02F, 1.07F, 1.28F, 1.38F};

// The experts' quantiles at kJudged, as one: averaged, widened where they disagree.
JudgedMatrix Combine(const BackTest& test, const std::array<JudgedMatrix, kExperts>& quantiles,
                     const MixtureWeights& weights);

}  // namespace shadow
