#include "forecast/mixture/mixture.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace shadow {
namespace {

constexpr std::array<double, kBuckets> kNearPower = {10, 10, 10, 7, 5, 5, 5};
constexpr double kDayPower = 3;
constexpr std::array<double, kBuckets> kTotalPower = {4, 4, 6, 12, 16, 18, 18};
constexpr double kLossMin = 1e-6;  // In units of the series' mean: a perfect expert counts no more.

using Losses = std::array<double, kExperts>;

// log(loss / least loss); 0 where there is no loss.
Losses Relative(const Losses& losses) {
  double least = std::numeric_limits<double>::infinity();
  for (const double loss : losses) {
    if (!std::isnan(loss)) least = std::min(least, std::max(loss, kLossMin));
  }
  Losses relative{};
  for (size_t j = 0; j < kExperts; ++j) {
    if (!std::isnan(losses[j])) relative[j] = std::log(std::max(losses[j], kLossMin) / least);
  }
  return relative;
}

}  // namespace

ExpertLoss LossOf(const BackTest& test, const JudgedMatrix& quantiles) {
  ExpertLoss loss;
  for (size_t b = 0; b < kBuckets; ++b) {
    const int from = test.begin[b];
    const int rows = test.rows(b);
    const auto actual = test.actual.segment(from, rows).array();
    Eigen::ArrayXf pinball = Eigen::ArrayXf::Zero(rows);
    for (size_t i = 0; i < kJudged.size(); ++i) {
      const auto q = static_cast<float>(kLevels[kJudged[i]]);
      const auto error =
          actual - quantiles.col(static_cast<Eigen::Index>(i)).segment(from, rows).array();
      pinball += (q * error).max((q - 1) * error);
    }
    const auto mean = [&](const Eigen::VectorXf& of) -> double {  // NaN where there are no rows.
      const auto weight = of.segment(from, rows);
      return weight.dot(pinball.matrix()) / weight.sum();
    };
    loss.whole[b] = mean(test.weight);
    loss.plain[b] = mean(test.plain_weight);
    loss.recent[b] = mean(test.recent);
  }
  return loss;
}

MixtureWeights Weigh(const std::array<ExpertLoss, kExperts>& losses) {
  Losses total{};
  for (size_t j = 0; j < kExperts; ++j) {
    for (const double loss : losses[j].plain) total[j] += std::isnan(loss) ? 0 : loss;
  }
  const Losses of_total = Relative(total);
  MixtureWeights weights{};
  for (size_t b = 0; b < kBuckets; ++b) {
    Losses whole{};
    Losses recent{};
    for (size_t j = 0; j < kExperts; ++j) {
      whole[j] = losses[j].whole[b];
      recent[j] = losses[j].recent[b];
    }
    const Losses of_whole = Relative(whole);
    const Losses of_recent = Relative(recent);
    Losses score{};
    for (size_t j = 0; j < kExperts; ++j) {
      score[j] =
          -kNearPower[b] * of_whole[j] - kDayPower * of_recent[j] - kTotalPower[b] * of_total[j];
    }
    const double best = *std::max_element(score.begin(), score.end());
    double sum = 0;
    for (double& s : score) sum += s = std::exp(s - best);
    for (size_t j = 0; j < kExperts; ++j) weights[b][j] = static_cast<float>(score[j] / sum);
  }
  return weights;
}

JudgedMatrix Combine(const BackTest& test, const std::array<JudgedMatrix, kExperts>& quantiles,
                     const MixtureWeights& weights) {
  JudgedMatrix mixed = JudgedMatrix::Zero(test.rows(), static_cast<int>(kJudged.size()));
  Eigen::VectorXf square = Eigen::VectorXf::Zero(test.rows());
  for (size_t b = 0; b < kBuckets; ++b) {
    const int from = test.begin[b];
    const int rows = test.rows(b);
    for (size_t j = 0; j < kExperts; ++j) {
      mixed.middleRows(from, rows) += weights[b][j] * quantiles[j].middleRows(from, rows);
    }
    for (size_t j = 0; j < kExperts; ++j) {
      const auto part = quantiles[j].middleRows(from, rows);
      square.segment(from, rows) +=
          weights[b][j] * (part.col(0) - mixed.middleRows(from, rows).col(0)).cwiseAbs2();
    }
  }
  const Eigen::VectorXf median = mixed.col(0);
  const Eigen::VectorXf spread = square.cwiseSqrt();
  for (size_t i = 1; i < kJudged.size(); ++i) {
    auto column = mixed.col(static_cast<Eigen::Index>(i));
    column = median + kWiden[kJudged[i]] * (column + kDisagree[kJudged[i]] * spread - median);
  }
  return mixed;
}

}  // namespace shadow
