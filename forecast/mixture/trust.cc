#include "forecast/mixture/trust.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace shadow {
namespace {

constexpr double kClearlyWorse = 1.1;
constexpr double kDrift = 2;
constexpr double kNoLoss = 1e-6;  // In units of the mean: less is no loss.
constexpr size_t kShortBuckets = 3;

// Over the first `buckets` buckets; those without rows count as 0.
double Sum(const std::array<double, kBuckets>& losses, size_t buckets = kBuckets) {
  double sum = 0;
  for (size_t b = 0; b < buckets; ++b) sum += std::isnan(losses[b]) ? 0 : losses[b];
  return sum;
}

bool ClearlyWorse(const ExpertLoss& own, double naive, size_t buckets = kBuckets) {
  const auto known = [](double loss) { return !std::isnan(loss); };
  const auto counted = std::count_if(own.recent.begin(), own.recent.begin() + buckets, known);
  const double tolerance = kTrustTolerance * static_cast<double>(counted);
  return Sum(own.recent, buckets) > kClearlyWorse * naive + tolerance;
}

}  // namespace

TrustVerdict Judge(const TrustInput& input) {
  const auto& experts = input.experts;
  const double own = Sum(input.own.recent);
  const double own_soon = Sum(input.own.recent, kShortBuckets);
  const double level_soon = Sum(experts[kLevelOnly].recent, kShortBuckets);
  const double naive = std::min({Sum(experts[kLevelOnly].recent), Sum(experts[kDayNaive].recent),
                                 Sum(experts[kWeekNaive].recent)});
  const bool worse =
      ClearlyWorse(input.own, level_soon, kShortBuckets) || ClearlyWorse(input.own, naive);
  TrustVerdict verdict;
  verdict.trust = worse ? ForecastTrust::kWorseThanNaive : ForecastTrust::kTrusted;
  verdict.reason = absl::StrFormat(
      "back-tested over the last day, in units of the mean demand: soon the loss is %.3g, of the "
      "last "
      "value %.3g; at all leads %.3g, of the best naive forecast %.3g",
      own_soon, level_soon, own, naive);
  const double seasonal = std::min(
      {Sum(experts[kDayNaive].plain), Sum(experts[kSlot].plain), Sum(experts[kSimilarOnly].plain)});
  if (Sum(experts[kLevelOnly].plain) <= seasonal) {
    verdict.reason += "; no seasonality: a level does better than every season";
  }
  if (own > kDrift * Sum(input.own.plain) + kNoLoss) {
    verdict.reason += "; drift: the last day was unlike the ones before";
  }
  return verdict;
}

}  // namespace shadow
