// Whether the back-test of a model speaks for it.
#pragma once

#include "forecast/forecaster.h"
#include "forecast/mixture/mixture.h"

namespace shadow {

// kWorseThanNaive: over about the last day the mixture's loss is more than 1.1 times that of the
// last value carried forward, up to 1/8 day ahead; or, over all leads, more than 1.1 times the
// least of last value, last day and last week; and by more than kTrustTolerance for each bucket of
// those leads, which is too little to matter. Otherwise kTrusted. The reason also names what else a
// person would want to know: no seasonality (a level does better than every season), drift (the
// last day's loss is twice the window's).
//
// kTrustTolerance: the loss, in units of the mean demand, of quantiles that are off by 1 % of it,
// as often below as above. Worked: at probability p an error e costs p e or (1 - p) e, so e / 2 in
// the mean, and 0.01 x 5 / 2 at the five of kJudged.
inline constexpr double kTrustTolerance = 0.01 * static_cast<double>(kJudged.size()) / 2;

struct TrustInput {
  ExpertLoss own;  // Of the mixture.
  std::array<ExpertLoss, kExperts> experts;
};
TrustVerdict Judge(const TrustInput& input);

}  // namespace shadow
