#include "forecast/experts/stack.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace shadow {
namespace {

constexpr std::array<double, 3> kRidges = {0.01, 0.1, 1};
constexpr double kRidgePower = 30;
constexpr double kRidgeDaysMin = 0.5;
constexpr int kRoughStride = 2;  // Rows of the first round.
constexpr int kRowsMin = 10;
constexpr float kSimilarShare = 0.25F;
constexpr float kErrorMin = 1e-6F;  // In units of the series' mean; 1 in logarithms.
constexpr int kFoldsMax = 4;
constexpr float kReach = 1.25F;  // Of the deviations, beyond the profile that they are from.

using Gram = Eigen::Matrix<double, kFeatures, kFeatures>;
using Column = Eigen::Matrix<double, kFeatures, 1>;

struct Moments {
  Gram gram = Gram::Zero();
  Column cross = Column::Zero();
};

// One bucket's rows.
class BucketFit {
 public:
  BucketFit(const BackTest& test, size_t bucket, const FeatureMatrix& features,
            const Eigen::VectorXf& target, const FeatureRow& prior)
      : begin_(test.begin[bucket]),
        rows_(test.rows(bucket)),
        features_(features.middleRows(begin_, rows_)),
        target_(target.segment(begin_, rows_)),
        weight_(test.fit_weight.segment(begin_, rows_)),
        prior_(prior),
        residual_(target_ - features_ * prior.transpose()),
        weighted_(rows_, kFeatures) {
    const auto first = test.fold.begin() + begin_;
    for (int fold = 0; fold <= test.folds; ++fold) {
      fold_begin_[static_cast<size_t>(fold)] =
          static_cast<int>(std::lower_bound(first, first + rows_, fold) - first);
    }
    folds_ = test.folds;
  }

  // The coefficients, and into `out_of_fold` (of the bucket's rows) the fits without the own fold:
  // means over the ridges, each weighing by how small its out-of-fold errors are.
  FeatureRow Fit(double days, Eigen::Ref<Eigen::VectorXf> out_of_fold) {
    const Moments rough = Accumulate(Weights(prior_), kRoughStride, 0, rows_);
    const FeatureRow first = Solve(rough, Penalty(rough, kRidges[1] / days), 1);
    const Eigen::VectorXf weights = Weights(first);
    Moments all;
    for (int fold = 0; fold < folds_; ++fold) {
      const auto f = static_cast<size_t>(fold);
      moments_[f] = Accumulate(weights, 1, fold_begin_[f], fold_begin_[f + 1]);
      all.gram += moments_[f].gram;
      all.cross += moments_[f].cross;
    }
    std::array<Eigen::VectorXf, kRidges.size()> outs;
    std::array<double, kRidges.size()> losses{};
    for (size_t k = 0; k < kRidges.size(); ++k) {
      outs[k] = OutOfFold(all, Penalty(all, kRidges[k] / days));
      losses[k] = ((target_ - outs[k]).array().abs() * weight_.array()).sum();
    }
    const double least = *std::min_element(losses.begin(), losses.end());
    double sum = 0;
    for (double& loss : losses)
      sum += loss = std::pow((least + 1e-30) / (loss + 1e-30), kRidgePower);
    FeatureRow beta = FeatureRow::Zero();
    out_of_fold.setZero();
    for (size_t k = 0; k < kRidges.size(); ++k) {
      const auto share = static_cast<float>(losses[k] / sum);
      beta += share * Solve(all, Penalty(all, kRidges[k] / days), 1);
      out_of_fold += share * outs[k];
    }
    return beta;
  }

 private:
  // Weights that make squares of the errors of `beta` into their amounts.
  Eigen::VectorXf Weights(const FeatureRow& beta) const {
    Eigen::VectorXf weights = (target_ - features_ * beta.transpose()).cwiseAbs();
    std::vector<float> sorted(weights.data(), weights.data() + rows_);
    const auto middle = sorted.begin() + rows_ / 2;
    std::nth_element(sorted.begin(), middle, sorted.end());
    const float least = *middle * 0.5F + kErrorMin;
    weights = weight_.array() / weights.array().max(least);
    return weights / (weights.mean() * static_cast<float>(rows_));
  }

  // Of every `stride`-th row of [from, end), under those weights.
  Moments Accumulate(const Eigen::VectorXf& weights, int stride, int from, int end) {
    const int rows = (end - from + stride - 1) / stride;
    using Rows = Eigen::Map<const FeatureMatrix, 0, Eigen::OuterStride<>>;
    using Values = Eigen::Map<const Eigen::VectorXf, 0, Eigen::InnerStride<>>;
    const Rows x(features_.data() + static_cast<Eigen::Index>(from) * kFeatures, rows, kFeatures,
                 Eigen::OuterStride<>(static_cast<Eigen::Index>(stride) * kFeatures));
    const Values w(weights.data() + from, rows, Eigen::InnerStride<>(stride));
    const Values y(residual_.data() + from, rows, Eigen::InnerStride<>(stride));
    auto scaled = weighted_.topRows(rows);
    scaled = x.array().colwise() * w.array();
    const Eigen::Matrix<float, kFeatures, kFeatures> gram = scaled.transpose() * x;
    const Eigen::Matrix<float, kFeatures, 1> cross = scaled.transpose() * y;
    return {.gram = gram.cast<double>(), .cross = cross.cast<double>()};
  }

  static Column Penalty(const Moments& all, double ridge) {
    const Column diagonal = all.gram.diagonal();
    const double mean = diagonal.sum() / (kFeatures - 1);  // One column is unused.
    return ridge * (diagonal.array() + 0.5 * mean) + 1e-9 * mean + 1e-15;
  }

  Eigen::VectorXf OutOfFold(const Moments& all, const Column& penalty) const {
    Eigen::VectorXf out(rows_);
    for (int fold = 0; fold < folds_; ++fold) {
      const auto f = static_cast<size_t>(fold);
      const int size = fold_begin_[f + 1] - fold_begin_[f];
      if (size == 0) continue;
      const double rest = 1 - static_cast<double>(size) / rows_;
      const Moments others = {.gram = all.gram - moments_[f].gram,
                              .cross = all.cross - moments_[f].cross};
      const FeatureRow own = size == rows_ ? prior_ : Solve(others, penalty, rest);
      out.segment(fold_begin_[f], size).noalias() =
          features_.middleRows(fold_begin_[f], size) * own.transpose();
    }
    return out;
  }

  // `share` of the rows of all that `moments` stand for.
  FeatureRow Solve(const Moments& moments, const Column& penalty, double share) const {
    Gram system = moments.gram;
    system.diagonal() += share * penalty;
    const Column step = system.ldlt().solve(moments.cross);
    return prior_ + step.transpose().cast<float>();
  }

  int begin_;
  int rows_;
  int folds_ = 1;
  Eigen::Ref<const FeatureMatrix> features_;
  Eigen::Ref<const Eigen::VectorXf> target_;
  Eigen::Ref<const Eigen::VectorXf> weight_;
  FeatureRow prior_;
  Eigen::VectorXf residual_;  // Of the prior.
  FeatureMatrix weighted_;    // Scratch of Accumulate.
  std::array<int, kFoldsMax + 1> fold_begin_{};
  std::array<Moments, kFoldsMax> moments_;
};

}  // namespace

Coefficients PriorCoefficients(bool weekly) {
  using F = LevelFeatures;
  constexpr std::array<float, kBuckets> kHour = {0.7F, 0.75F, 0.6F, 0.4F, 0.25F, 0.2F, 0.15F};
  constexpr std::array<float, kBuckets> kNow = {0.3F, 0.2F, 0.05F, 0, 0, 0, 0};
  Coefficients prior = Coefficients::Zero();
  constexpr float kRest = 1 - kSimilarShare;
  for (size_t b = 0; b < kBuckets; ++b) {
    const auto row = static_cast<Eigen::Index>(b);
    prior(row, F::kType) = prior(row, F::kTypeMedian) = 0.25F * kRest;
    if (weekly) {
      prior(row, F::kWeek) = prior(row, F::kWeekMedian) = 0.25F * kRest;
    } else {
      prior(row, F::kSmooth) = 0.3F * kRest;
      prior(row, F::kYesterday) = 0.2F * kRest;
    }
    prior(row, F::kSimilar) = kSimilarShare;
    prior(row, kDeviationColumn) = kNow[b];
    prior(row, kDeviationColumn + 1) = kHour[b];
    prior(row, kDeviationColumn + 3) = 0.1F;
  }
  return prior;
}

float Bounded(const FeatureRow& row, float fit) {
  const auto levels = row.head<LevelFeatures::kCount>();
  const auto deviations = row.segment<Latest::kDeviations>(kDeviationColumn);
  const float type = row[LevelFeatures::kType];
  const float low = std::min(levels.minCoeff(), type + kReach * deviations.minCoeff());
  const float high = std::max(levels.maxCoeff(), type + kReach * deviations.maxCoeff());
  return std::clamp(fit, low, high);
}

StackFit FitStack(const BackTest& test, const FeatureMatrix& features,
                  const Eigen::VectorXf& target, const Coefficients& prior) {
  StackFit fit = {.coefficients = prior, .out_of_fold = Eigen::VectorXf(test.rows())};
  const double days = std::max(test.days, kRidgeDaysMin);
  for (size_t b = 0; b < kBuckets; ++b) {
    const auto row = static_cast<Eigen::Index>(b);
    auto out = fit.out_of_fold.segment(test.begin[b], test.rows(b));
    if (test.rows(b) < kRowsMin) {
      out = features.middleRows(test.begin[b], test.rows(b)) * prior.row(row).transpose();
      if (b > 0 && test.rows(b) == 0) fit.coefficients.row(row) = fit.coefficients.row(row - 1);
      continue;
    }
    BucketFit bucket(test, b, features, target, prior.row(row));
    fit.coefficients.row(row) = bucket.Fit(days, out);
  }
  for (int i = 0; i < test.rows(); ++i) {
    fit.out_of_fold[i] = Bounded(features.row(i), fit.out_of_fold[i]);
  }
  return fit;
}

}  // namespace shadow
