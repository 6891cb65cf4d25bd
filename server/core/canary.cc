#include "server/core/canary.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace shadow {

CanaryJudgement JudgeCanary(const CompiledPool& pool, const CanaryStats& canary,
                            std::vector<double> peer_response_times_ms, absl::Duration elapsed) {
  const v1::Canary& policy = pool.pool.policy().canary();
  if (canary.errors.value_or(0) > policy.errors_max()) {
    return {CanaryVerdict::kFail,
            absl::StrCat("canary: ", *canary.errors, " errors in ",
                         canary.requests.has_value() ? absl::StrCat(*canary.requests) : "unknown",
                         " requests, at most ", policy.errors_max(), " allowed")};
  }
  if (canary.response_time_ms.has_value() && !peer_response_times_ms.empty()) {
    auto middle = peer_response_times_ms.begin() +
                  static_cast<std::ptrdiff_t>(peer_response_times_ms.size() / 2);
    std::nth_element(peer_response_times_ms.begin(), middle, peer_response_times_ms.end());
    const double mean = *canary.response_time_ms;
    const double slack_ms = absl::ToDoubleMilliseconds(pool.latency_slack);
    if (mean > *middle * policy.latency_ratio_max() && mean > *middle + slack_ms) {
      return {CanaryVerdict::kFail,
              absl::StrFormat("canary: mean response time %.1f ms against %.1f ms of its peers",
                              mean, *middle)};
    }
  }
  std::optional<int64_t> answered;
  if (canary.requests.has_value() && canary.in_flight.has_value()) {
    answered = *canary.requests - *canary.in_flight;
  }
  if (answered.has_value() && *answered >= policy.requests() && canary.healthy)
    return {CanaryVerdict::kPass, ""};
  if (elapsed < pool.canary_timeout) return {};
  if (!canary.healthy) return {CanaryVerdict::kFail, "canary: the balancer's health check fails"};
  if (answered.has_value() && *canary.requests > 0 && *answered <= 0) {
    // The first one may have come just now.
    if (elapsed < 2 * pool.canary_timeout) return {};
    return {CanaryVerdict::kFail,
            absl::StrCat("canary: none of ", *canary.requests, " requests was answered within ",
                         absl::FormatDuration(2 * pool.canary_timeout))};
  }
  return {CanaryVerdict::kPass, ""};
}

}  // namespace shadow
