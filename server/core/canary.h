// Whether a woken instance may serve at full weight. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/core/spec.h"

namespace shadow {

// Numbers of one member since it was added to the balancer; unset: it cannot tell.
struct CanaryStats {
  std::optional<int64_t> requests = std::nullopt;  // Begun; with those in flight.
  std::optional<int64_t> in_flight = std::nullopt;
  std::optional<int64_t> errors = std::nullopt;
  std::optional<double> response_time_ms = std::nullopt;
  bool healthy = true;
};

enum class CanaryVerdict { kWait, kPass, kFail };

struct CanaryJudgement {
  CanaryVerdict verdict = CanaryVerdict::kWait;
  std::string reason;  // kFail: for people, with the numbers.
};

// `peer_response_times_ms`: of the pool's ACTIVE members that have one. `elapsed`: since the canary
// weight was set. Fails on more than policy.canary.errors_max errors, or when
//   mean > median(peers) x latency_ratio_max  and  mean > median(peers) + latency_slack
// e.g. peers 20 ms, ratio 3, slack 50 ms: 65 ms passes (below 70), 75 ms fails. Without peers
// latency is not judged. Passes with enough answered requests, or at the timeout while the balancer
// finds it healthy and it does not leave every request unanswered. What the balancer cannot tell is
// not judged, and does not pass it before the timeout.
CanaryJudgement JudgeCanary(const CompiledPool& pool, const CanaryStats& canary,
                            std::vector<double> peer_response_times_ms, absl::Duration elapsed);

}  // namespace shadow
