// Whether the back-test of a model speaks for it.
#pragma once

#include "forecast/forecaster.h"
#include "forecast/mixture/mixture.h"

namespace shadow {

// kWorseThanNaive: over about the last day the mixture's loss is more than 1.1 times that of the
// last value carried forward, up to 1/8 day ahead; or, over all leads, more than 1.1 times the
// least of last value, last day and last week. Else kTrusted. The reason also names what else a
// person would want to know: no seasonality (a level does better than every season), drift (the
// last day's loss is twice the window's).
struct TrustInput {
  ExpertLoss own;  // Of the mixture.
  std::array<ExpertLoss, kExperts> experts;
};
TrustVerdict Judge(const TrustInput& input);

}  // namespace shadow
