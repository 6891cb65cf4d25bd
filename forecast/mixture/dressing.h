// Quantiles around a point forecast: scale by slot of the day and lead, shape by bucket of leads.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "forecast/mixture/back_test.h"
#include "forecast/saved_bytes.h"

namespace shadow {

// Knots of K: up to nine leads, log-spaced from 1 to the horizon. All dressings of a model share
// these, so that each keeps nine values and not one a lead.
class LeadKnots {
 public:
  static constexpr size_t kMax = 9;
  explicit LeadKnots(int horizon);

  const std::vector<int>& leads() const { return leads_; }

  // Where a lead >= 1 lies, linear in the log between knots. Worked: horizon 256, so knots 1, 2, 4,
  // ...: lead 3 is at 1.585, beyond lead 2 by log 1.5 / log 2 of the way to lead 4.
  float PlaceOf(int lead) const {
    return places_[std::min(static_cast<size_t>(lead), places_.size() - 1)];
  }

  int64_t Bytes() const;

 private:
  std::vector<int> leads_;
  std::vector<float> places_;  // By lead; [0] is unused.
};

// quantile = point + S(type, slot) K(lead) U(bucket, probability)
// S: weighted mean |residual| per slot, smoothed over +-1/16 day and drawn to its mean; a type of
//    day has its own with weight days / (days + 4).
// K: mean |residual / S| at the knots, never falling.
// U: weighted quantiles of residual / (S K) in the bucket; the median by BackTest::centre_weight.
class Dressing {
 public:
  // `residual`: actual - out-of-fold point, per row of `test`.
  Dressing(const BackTest& test, const LeadKnots& knots, const Eigen::VectorXf& residual);

  // S K; `place` of the lead, from the same knots.
  float Scale(int type, int slot, float place) const {
    return scale_[static_cast<size_t>(type)][static_cast<size_t>(slot)] * Growth(place);
  }

  // U, at kLevels.
  const LevelArray& Shape(size_t bucket) const { return shape_[bucket]; }

  int64_t Bytes() const;

  void Save(SavedWriter& writer) const;
  // Of days of `day` cells. Unset: not from Save.
  static std::optional<Dressing> Load(SavedReader& reader, int day);

 private:
  Dressing() = default;

  void LearnScale(const BackTest& test, const Eigen::VectorXf& residual);
  void LearnGrowth(const BackTest& test, const std::vector<int>& knots,
                   const Eigen::VectorXf& relative);
  float Growth(float place) const {
    const auto low = static_cast<size_t>(place);
    const float share = place - static_cast<float>(low);
    return growth_[low] + share * (growth_[low + 1] - growth_[low]);
  }
  void LearnShape(const BackTest& test, const Eigen::VectorXf& relative);

  std::array<std::vector<float>, 2> scale_;          // By type, slot.
  std::array<float, LeadKnots::kMax + 1> growth_{};  // K at the knots, and the last one again.
  std::array<LevelArray, kBuckets> shape_{};
};

// The quantiles of `values` at kLevels, each weighing `weights`; both have one entry a value, at
// least one. Value i of the sorted ones stands at (w_1 + ... + w_i - w_i / 2) / sum; linear
// between. Worked: of 1, 2, 3, 4 with equal weights the 0.5 quantile is at (0.375, 2), (0.625,
// 3): 2.5.
LevelArray WeightedQuantiles(const Eigen::Ref<const Eigen::VectorXf>& values,
                             const Eigen::Ref<const Eigen::VectorXf>& weights);

}  // namespace shadow
