#include "server/balancers/haproxy_response_time.h"

#include <algorithm>
#include <cmath>

namespace shadow {
namespace {

constexpr int64_t kWindow = 512;  // TIME_STATS_SAMPLES
constexpr double kUsefulErrorMs = 30;
constexpr double kUsefulErrorShare = 0.2;

struct TimeBounds {
  double low = 0;
  double high = 0;
};

TimeBounds SumOf(const ResponseTimeSince::Reading& reading) {
  if (reading.responses <= 0 || reading.average_ms <= 0) return {};
  const auto n = static_cast<double>(std::min(reading.responses, kWindow));
  const auto average = static_cast<double>(reading.average_ms);
  return {.low = n * (average - 1) + 1, .high = n * average};
}

}  // namespace

ResponseTimeSince::ResponseTimeSince(Reading start) : start_(start), now_(start) {}

void ResponseTimeSince::Advance(Reading now) {
  if (now.responses < now_.responses) return;
  const int64_t plain = std::max<int64_t>(std::min(now.responses, kWindow) - now_.responses, 0);
  const int64_t decaying = now.responses - now_.responses - plain;
  constexpr auto kN = static_cast<double>(kWindow);
  const double factor = std::pow(1 - 1 / kN, static_cast<double>(decaying));
  const double added = kN * (1 - factor);
  decay_ *= factor;
  weight_ = (weight_ + static_cast<double>(plain)) * factor + added;
  rounding_weight_ = rounding_weight_ * factor + added;
  now_ = now;
}

std::optional<ResponseTimeSince::Estimate> ResponseTimeSince::Mean() const {
  if (weight_ <= 0) return std::nullopt;
  const TimeBounds before = SumOf(start_);
  const TimeBounds after = SumOf(now_);
  const double low = std::max((after.low - decay_ * before.high) / weight_, 0.0);
  const double high = (after.high - decay_ * before.low + rounding_weight_) / weight_;
  if (high < low) return std::nullopt;
  return Estimate{.mean_ms = (low + high) / 2, .error_ms = (high - low) / 2};
}

std::optional<double> ResponseTimeSince::UsefulMeanMs() const {
  const std::optional<Estimate> estimate = Mean();
  if (!estimate) return std::nullopt;
  const double limit = std::max(kUsefulErrorMs, kUsefulErrorShare * estimate->mean_ms);
  return estimate->error_ms <= limit ? std::optional<double>(estimate->mean_ms) : std::nullopt;
}

}  // namespace shadow
