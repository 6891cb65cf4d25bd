#include "forecast/mixture/quantile_levels.h"

#include <cmath>

namespace shadow {
namespace {

constexpr double kTail = 0.02425;  // Where Acklam's other formula begins.

// c[0] x^(n-1) + ... + c[n-1].
template <size_t kSize>
double Polynomial(const std::array<double, kSize>& c, double x) {
  double value = 0;
  for (const double coefficient : c) value = value * x + coefficient;
  return value;
}

}  // namespace

double Probit(double p) {
  constexpr std::array<double, 6> kA = {-3.969683028665376e+01, 2.209460984245205e+02,
                                        -2.759285104469687e+02, 1.383577518672690e+02,
                                        -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr std::array<double, 6> kB = {-5.447609879822406e+01, 1.615858368580409e+02,
                                        -1.556989798598866e+02, 6.680131188771972e+01,
                                        -1.328068155288572e+01, 1};
  constexpr std::array<double, 6> kC = {-7.784894002430293e-03, -3.223964580411365e-01,
                                        -2.400758277161838e+00, -2.549732539343734e+00,
                                        4.374664141464968e+00,  2.938163982698783e+00};
  constexpr std::array<double, 5> kD = {7.784695709041462e-03, 3.224671290700398e-01,
                                        2.445134137142996e+00, 3.754408661907416e+00, 1};
  if (p > 1 - kTail) return -Probit(1 - p);
  if (p < kTail) {
    const double q = std::sqrt(-2 * std::log(p));
    return Polynomial(kC, q) / Polynomial(kD, q);
  }
  const double q = p - 0.5;
  return q * Polynomial(kA, q * q) / Polynomial(kB, q * q);
}

LevelPlace PlaceOf(double probability) {
  LevelPlace place;
  while (place.low + 2 < kLevels.size() && kLevels[place.low + 1] < probability) ++place.low;
  const double low = Probit(kLevels[place.low]);
  const double high = Probit(kLevels[place.low + 1]);
  place.share = static_cast<float>((Probit(probability) - low) / (high - low));
  return place;
}

}  // namespace shadow
