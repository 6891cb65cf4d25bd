// What is counted of a pool all the time, for metrics. Beside the snapshot, because most of it
// changes with each sample.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>

#include "shadow/v1/usage.pb.h"

namespace shadow {

// Written by whoever has the pool's entry, read on any thread: each figure for itself. It lives as
// long as a snapshot with the pool, and begins anew with the daemon, as counters do.
struct PoolFigures {
  static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

  // As of the last decision, in demand units; NaN: not known.
  std::atomic<double> demand = kUnknown;
  std::atomic<double> forecast = kUnknown;  // The highest quantile over the activation lead.
  std::atomic<int> needed = 0;              // Shadow instances that actual demand needs.
  std::atomic<int> wanted = 0;              // Shadow instances, were there enough.
  // Live steps, by whether what served when they ended covered their mean demand.
  std::atomic<int64_t> steps_met = 0;
  std::atomic<int64_t> steps_missed = 0;
  std::atomic<double> idle_seconds = 0;  // Of instances, beyond the need of these steps.
  // Recorded decisions by their first reason.
  std::array<std::atomic<int64_t>, v1::Decision::Reason_ARRAYSIZE> decisions = {};
};

}  // namespace shadow
