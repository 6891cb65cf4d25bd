#include "forecast/mixture/calibration.h"

#include <algorithm>
#include <cmath>

namespace shadow {
namespace {

constexpr double kGain = 0.3;  // Of a day of misses.
constexpr float kFactorMin = 0.7F;
constexpr float kFactorMax = 2;

}  // namespace

WidthFactors Calibrate(const BackTest& test, const JudgedMatrix& quantiles) {
  WidthFactors factors{};
  for (size_t b = 0; b < kBuckets; ++b) {
    factors[b].fill(1);
    if (test.rows(b) == 0) {
      if (b > 0) factors[b] = factors[b - 1];
      continue;
    }
    const double gain = kGain * test.days / test.rows(b);
    for (size_t i = 1; i < kJudged.size(); ++i) {
      const auto column = static_cast<Eigen::Index>(i);
      int misses = 0;
      for (int row = test.begin[b]; row < test.begin[b + 1]; ++row) {
        misses += test.actual[row] > quantiles(row, column);
      }
      const double usual = static_cast<double>(misses) / test.rows(b);
      const auto wider = static_cast<float>(std::exp(gain * (1 - usual)));
      const auto narrower = static_cast<float>(std::exp(-gain * usual));
      float factor = 1;
      for (int row = test.begin[b]; row < test.begin[b + 1]; ++row) {
        const float median = quantiles(row, 0);
        const bool miss = test.actual[row] > median + factor * (quantiles(row, column) - median);
        factor = std::clamp(factor * (miss ? wider : narrower), kFactorMin, kFactorMax);
      }
      factors[b][i] = factor;
    }
  }
  return factors;
}

LevelArray FactorsAtLevels(const std::array<float, kJudged.size()>& factors) {
  LevelArray at{};
  at[4] = 1;
  at[5] = at[3] = factors[1];  // 0.7 as 0.8
  at[6] = factors[1];
  at[7] = at[2] = factors[2];
  at[8] = at[1] = factors[3];
  at[9] = (factors[3] + factors[4]) / 2;
  at[10] = at[0] = factors[4];
  return at;
}

}  // namespace shadow
