// What a replay came to, and the comparison of two.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/demo/director/observer.h"
#include "tests/demo/load.h"

namespace shadow::demo {

struct ReplayResult {
  int64_t requests = 0;
  int64_t failed = 0;         // Not 2xx, broken connections, no answer within 10 s.
  double latency_p50_ms = 0;  // Of all requests, from the time they were due.
  double latency_p99_ms = 0;
  // Of the steps: those in which the serving instances' capacity (mean of the step, instances at
  // full weight x instance capacity) was at least the arrivals.
  double covered_share = 0;
  // Times that an instance of the shadow was needed and then served: started for it, or woken.
  int64_t cold_starts = 0;
  int64_t wakes = 0;
  double cold_p50_ms = 0;  // From need to served; 0 if there were none.
  double wake_p50_ms = 0;
  // Running and not suspended beyond what the arrivals needed: the sum over all steps of
  // max(0, running - ceil(arrivals / instance capacity)) x step. A step of 1 s with 5 running, 90
  // arrivals and a capacity of 40 adds (5 - 3) x 1 = 2.
  double idle_instance_seconds = 0;
  double suspended_instance_seconds = 0;
};

// `steps` as long as the load's steps; a step that was never looked at counts as not covered.
ReplayResult Summarize(const LoadReport& load, const std::vector<StepState>& steps,
                       const std::vector<Service>& services, double instance_capacity,
                       absl::Duration step);

// The rows of both side by side.
std::string ComparisonTable(const ReplayResult& with_shadow, const ReplayResult& without_shadow);

// {"with_shadow": {"requests": ..., ...}, "without_shadow": {...}}
std::string ComparisonJson(const ReplayResult& with_shadow, const ReplayResult& without_shadow);

}  // namespace shadow::demo
