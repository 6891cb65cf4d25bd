// One replay of the trace: with shadows, or the same without.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "tests/demo/director/interrupt.h"
#include "tests/demo/director/report.h"
#include "tests/demo/director/stack.h"
#include "tests/demo/director/view.h"

namespace shadow::demo {

struct ReplayPlan {
  std::vector<double> history;  // Requests/s, a step each, up to the replay.
  std::vector<double> rates;    // Of the replay.
  double peak = 0;              // The highest of both.
  absl::Duration step = absl::Seconds(1);
  uint64_t seed = 1;
};

// From the trace of one row a step: its highest row becomes `peak` requests/s. The replay begins in
// the quiet hours of the last night but one and ends with those of the last, at most `steps_max`
// steps; everything before is history. Errors are those of ReadCurve; kInvalidArgument: too short.
absl::StatusOr<ReplayPlan> PlanReplay(const std::string& trace, double peak, int steps_max);

// What follows the replay: the same two weeks again and again, at the hour at which it ends.
// `steps`: how many rates. Requires history.
std::vector<double> RatesAfter(const ReplayPlan& plan, int steps);

// Runs `plan` against a started stack. kCancelled: interrupted.
absl::StatusOr<ReplayResult> RunReplay(const ReplayPlan& plan, const std::string& title,
                                       Stack& stack, View& view, Clock& clock,
                                       Interrupt& interrupt);

}  // namespace shadow::demo
