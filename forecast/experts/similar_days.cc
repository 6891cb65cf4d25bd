#include "forecast/experts/similar_days.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace shadow {
namespace {

constexpr float kMatchPerDay = 10;  // Half-lives a day.
constexpr float kLevelPerDay = 96;
constexpr float kFadePerDay = 1;
constexpr float kSharpness = 4;
constexpr float kAge = 0.97F;
constexpr float kOtherType = 0.25F;
constexpr float kWholeWeek = 1.5F;
constexpr float kMatchMin = 1e-6F;  // In units of the mean.

}  // namespace

SimilarDays::SimilarDays(const Setup& setup)
    : setup_(setup),
      match_decay_(1 - std::exp2(-kMatchPerDay / static_cast<float>(setup.day))),
      level_decay_(1 - std::exp2(-kLevelPerDay / static_cast<float>(setup.day))) {}

void SimilarDays::Push(const Series& series, int64_t t) {
  const int64_t age = t - setup_.first;
  const int days = static_cast<int>(std::min<int64_t>(kSimilarDaysMax, age / setup_.day));
  const float x = series(t);
  for (int k = 1; k <= days; ++k) {
    const auto i = static_cast<size_t>(k - 1);
    const float difference = x - series(t - static_cast<int64_t>(k) * setup_.day);
    // Cells seen of this lag, this one included: a plain mean comes before the weighted one.
    const auto seen = static_cast<float>(age - static_cast<int64_t>(k) * setup_.day + 1);
    if (seen <= 1) shift_[i] = difference;
    match_[i] += std::max(1 / seen, match_decay_) * (std::abs(difference - shift_[i]) - match_[i]);
    shift_[i] += level_decay_ * (difference - shift_[i]);
  }
}

void SimilarDays::SetOrigin(int64_t origin) {
  origin_ = origin;
  nearest_ = 0;
  const int64_t age = origin - 1 - setup_.first - setup_.day / 4;
  known_ = age < 0 ? 0 : static_cast<int>(std::min<int64_t>(kSimilarDaysMax, age / setup_.day));
  if (known_ == 0) return;
  const float least = *std::min_element(match_.begin(), match_.begin() + known_) + kMatchMin;
  float age_weight = 1;
  for (int k = 1; k <= known_; ++k) {
    const auto i = static_cast<size_t>(k - 1);
    age_weight *= kAge;
    const bool whole = setup_.week_days > 0 && k % setup_.week_days == 0;
    base_[i] =
        std::exp(-kSharpness * (match_[i] / least - 1)) * age_weight * (whole ? kWholeWeek : 1);
  }
}

void SimilarDays::PrepareDay(int64_t day, int nearest) {
  day_ = day;
  nearest_ = nearest;
  const int type = setup_.types.TypeOf(day);
  float sum = 0;
  fade_ = 0;
  for (int k = nearest; k <= known_; ++k) {
    const auto i = static_cast<size_t>(k - 1);
    const float weight = base_[i] * (setup_.types.TypeOf(day - k) == type ? 1 : kOtherType);
    weights_[i] = weight;
    sum += weight;
    fade_ += weight * shift_[i];
  }
  if (sum < std::numeric_limits<float>::min()) {  // All too far from the best, which is too near.
    known_ = std::min(known_, nearest - 1);
    return;
  }
  fade_ /= sum;
  for (int k = nearest; k <= known_; ++k) weights_[static_cast<size_t>(k - 1)] /= sum;
}

float SimilarDays::At(const Series& series, int64_t t) {
  const int64_t lead = t - origin_ + 1;
  const int nearest = static_cast<int>((lead + setup_.day - 1) / setup_.day);
  if (nearest > known_) return kMissing;
  const int64_t day = FloorDivide(t, setup_.day);
  if (nearest != nearest_ || day != day_) {
    PrepareDay(day, nearest);
    if (nearest > known_) return kMissing;
  }
  float sum =
      fade_ * std::exp2(-kFadePerDay * static_cast<float>(lead) / static_cast<float>(setup_.day));
  for (int k = nearest; k <= known_; ++k) {
    const float weight = weights_[static_cast<size_t>(k - 1)];
    if (weight > 1e-4F) sum += weight * series(t - static_cast<int64_t>(k) * setup_.day);
  }
  return sum;
}

}  // namespace shadow
