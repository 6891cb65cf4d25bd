// The mean response time of a server since some moment, from HAProxy's sliding average alone.
#pragma once

#include <cstdint>
#include <optional>

namespace shadow {

// HAProxy keeps a sum s of response times in whole milliseconds and shows it as a rounded-up
// average a. With k the responses so far and n = min(k, 512):
//   response k:   s <- s + v                        while k <= 512
//                 s <- s - ceil(s / 512) + v        after that
//   shown:        a = ceil(s / n), so s is in [n (a - 1) + 1, n a]
// Source: HAProxy 2.6, include/haproxy/freq_ctr.h (swrate_add_dynamic, swrate_avg) and
// stream_update_time_stats(). A slot's s therefore still holds what its earlier occupants took.
//
// Let s0 be the sum at the start. Since then m responses decayed it to D s0 and brought in a sum of
// v_i w_i, with weights w_i that also decay (recent ones count more) and add up to W. Of the
// 512-step's rounding up, between 0 and R is lost, R being the weight of the decaying steps. Hence
//   mean = (s - D s0) / W + [0, R / W]
// and with the bounds of s and s0 an interval; its middle is the estimate, half its width the
// error.
//
// Worked value: 20 responses of 30 ms in a fresh slot. s0 = 0, D = 1, W = 20, R = 0, a = 30, s in
// [581, 600]: 29.525 +- 0.475 ms. In a slot that had 1000 responses at a = 10, 100 more of 50 ms:
// D = 0.8224, W = R = 90.91, a = 17: 49.4 +- 5.6 ms. With 20 more instead of 100: +- 26 ms.
class ResponseTimeSince {
 public:
  struct Reading {
    int64_t responses = 0;   // req_tot
    int64_t average_ms = 0;  // rtime
  };
  struct Estimate {
    double mean_ms = 0;
    double error_ms = 0;  // The true weighted mean is within mean_ms +- error_ms.
  };

  explicit ResponseTimeSince(Reading start);

  // A reading that is older than the one before (fewer responses) is ignored.
  void Advance(Reading now);

  // Unset while there was no response since the start.
  std::optional<Estimate> Mean() const;

  // Mean(), but only where the error is at most 30 ms or a fifth of the mean: enough to tell an
  // instance that is too slow by the canary's default slack (50 ms) after its default 20 requests.
  std::optional<double> UsefulMeanMs() const;

 private:
  Reading start_;
  Reading now_;
  double decay_ = 1;            // D
  double weight_ = 0;           // W
  double rounding_weight_ = 0;  // R
};

}  // namespace shadow
