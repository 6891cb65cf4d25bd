#include "server/core/canary.h"

#include <catch2/catch.hpp>

namespace shadow {
namespace {

// 20 requests within 5 s, no errors, ratio 3, slack 50 ms.
CompiledPool Pool() {
  CompiledPool pool;
  v1::Canary& canary = *pool.pool.mutable_policy()->mutable_canary();
  canary.set_requests(20);
  canary.set_errors_max(0);
  canary.set_latency_ratio_max(3);
  pool.canary_timeout = absl::Seconds(5);
  pool.latency_slack = absl::Milliseconds(50);
  return pool;
}

CanaryStats Stats(int64_t requests, int64_t in_flight = 0, int64_t errors = 0,
                  std::optional<double> response_time_ms = std::nullopt, bool healthy = true) {
  return {.requests = requests,
          .in_flight = in_flight,
          .errors = errors,
          .response_time_ms = response_time_ms,
          .healthy = healthy};
}

CanaryVerdict Verdict(const CanaryStats& stats, std::vector<double> peers, int seconds) {
  return JudgeCanary(Pool(), stats, std::move(peers), absl::Seconds(seconds)).verdict;
}

}  // namespace

TEST_CASE("a canary passes with enough answered requests") {
  CHECK(Verdict(Stats(20), {}, 1) == CanaryVerdict::kPass);
  CHECK(Verdict(Stats(19), {}, 1) == CanaryVerdict::kWait);
  CHECK(Verdict(Stats(20, 1), {}, 1) == CanaryVerdict::kWait);
}

TEST_CASE("a canary with little traffic passes at the timeout if it is healthy") {
  CHECK(Verdict(Stats(0), {}, 4) == CanaryVerdict::kWait);
  CHECK(Verdict(Stats(0), {}, 5) == CanaryVerdict::kPass);
  CHECK(Verdict(Stats(0, 0, 0, std::nullopt, false), {}, 4) == CanaryVerdict::kWait);
  CHECK(Verdict(Stats(0, 0, 0, std::nullopt, false), {}, 5) == CanaryVerdict::kFail);
}

TEST_CASE("one error more than allowed fails a canary, with the numbers in the reason") {
  const CanaryJudgement judgement = JudgeCanary(Pool(), Stats(20, 0, 1), {}, absl::Seconds(1));
  CHECK(judgement.verdict == CanaryVerdict::kFail);
  CHECK(judgement.reason.find("1 errors in 20 requests") != std::string::npos);
}

TEST_CASE("a canary is too slow beyond both the ratio and the slack") {
  const std::vector<double> peers = {20, 19, 500};
  CHECK(Verdict(Stats(20, 0, 0, 65), peers, 1) == CanaryVerdict::kPass);
  CHECK(Verdict(Stats(20, 0, 0, 75), peers, 1) == CanaryVerdict::kFail);
  CHECK(Verdict(Stats(20, 0, 0, 50), {1}, 1) == CanaryVerdict::kPass);
  CHECK(Verdict(Stats(20, 0, 0, 5000), {}, 1) == CanaryVerdict::kPass);
}

TEST_CASE("what a balancer cannot count is not judged, and passes no canary early") {
  CHECK(Verdict({}, {}, 4) == CanaryVerdict::kWait);
  CHECK(Verdict({}, {}, 5) == CanaryVerdict::kPass);
  CHECK(Verdict({.healthy = false}, {}, 5) == CanaryVerdict::kFail);
  // How many were answered is not known.
  CHECK(Verdict({.requests = 1000}, {}, 4) == CanaryVerdict::kWait);
  CHECK(Verdict({.errors = 1}, {}, 1) == CanaryVerdict::kFail);
}

TEST_CASE("a canary that answers nothing fails at twice the timeout") {
  CHECK(Verdict(Stats(3, 3), {}, 9) == CanaryVerdict::kWait);
  CHECK(Verdict(Stats(3, 3), {}, 10) == CanaryVerdict::kFail);
}

}  // namespace shadow
