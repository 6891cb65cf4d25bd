// Quantiles around a point forecast: scale by slot of the day and lead, shape by bucket of leads.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <vector>

#include "forecast/mixture/back_test.h"

namespace shadow {

// quantile = point + S(type, slot) K(lead) U(bucket, probability)
// S: weighted mean |residual| per slot, smoothed over +-1/16 day and drawn to its mean; a type of
//    day has its own with weight days / (days + 4).
// K: mean |residual / S| at nine leads (log-spaced, never falling, linear in the log between).
// U: weighted quantiles of residual / (S K) in the bucket; the median by BackTest::centre_weight.
class Dressing {
 public:
  // `residual`: actual - out-of-fold point, per row of `test`.
  Dressing(const BackTest& test, const Eigen::VectorXf& residual);

  // S K, of a lead >= 1.
  float Scale(int type, int slot, int lead) const {
    const size_t at = std::min(static_cast<size_t>(lead), growth_.size() - 1);
    return scale_[static_cast<size_t>(type)][static_cast<size_t>(slot)] * growth_[at];
  }

  // U, at kLevels.
  const LevelArray& Shape(size_t bucket) const { return shape_[bucket]; }

  int64_t Bytes() const;

 private:
  void LearnScale(const BackTest& test, const Eigen::VectorXf& residual);
  void LearnGrowth(const BackTest& test, const Eigen::VectorXf& relative);
  void LearnShape(const BackTest& test, const Eigen::VectorXf& relative);

  std::array<std::vector<float>, 2> scale_;  // By type, slot.
  std::vector<float> growth_;                // By lead; [0] is unused.
  std::array<LevelArray, kBuckets> shape_{};
};

// The quantiles of `values` at kLevels, each weighing `weights`; both have one entry a value, at
// least one. Value i of the sorted ones stands at (w_1 + ... + w_i - w_i / 2) / sum; linear
// between. Worked: of 1, 2, 3, 4 with equal weights the 0.5 quantile is at (0.375, 2), (0.625,
// 3): 2.5.
LevelArray WeightedQuantiles(const Eigen::Ref<const Eigen::VectorXf>& values,
                             const Eigen::Ref<const Eigen::VectorXf>& weights);

}  // namespace shadow
