// Any probability, as a place between the probabilities that fitted quantiles are kept at.
#pragma once

#include <cstddef>

#include "forecast/mixture/buckets.h"

namespace shadow {

// The quantile z of the standard normal distribution: Probit(0.975) = 1.95996. 0 < p < 1; the
// relative error is below 1.2e-9. Source: P. J. Acklam, An algorithm for computing the inverse
// normal cumulative distribution function, 2003.
double Probit(double p);

// A quantile at p is values[low] + share (values[low + 1] - values[low]): linear in Probit(p), also
// beyond the first and the last level, where share is below 0 or above 1.
struct LevelPlace {
  size_t low = 0;
  float share = 0;

  float In(const LevelArray& values) const {
    if (share == 1) return values[low + 1];
    return values[low] + share * (values[low + 1] - values[low]);
  }
};
LevelPlace PlaceOf(double probability);

}  // namespace shadow
