// Demand for planner tests, by step; all deterministic.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "server/core/capacity/capacity_planner.h"

namespace shadow::testing {

inline constexpr absl::Duration kStep = absl::Minutes(15);
inline constexpr int64_t kDay = 96;

using NeedBy = std::function<std::optional<int>(int64_t)>;

inline absl::Time TimeOf(int64_t step) { return absl::UnixEpoch() + step * kStep; }

// A number from 0 to 999 that looks random. Source: the finaliser of splitmix64, S. Vigna.
inline int64_t Noise(int64_t step) {
  uint64_t x = static_cast<uint64_t>(step) * 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<int64_t>((x ^ (x >> 31)) % 1000);
}

// 8 at night, 32 by day, and 0 to 3 more.
inline std::optional<int> DailyNeed(int64_t step) {
  const double phase = 2 * M_PI * static_cast<double>(step % kDay) / static_cast<double>(kDay);
  return static_cast<int>(20 - 12 * std::cos(phase)) + static_cast<int>(Noise(step) / 250);
}

inline CapacityPlanner::Options OptionsFor(std::vector<CapacityTarget> targets,
                                           int lead_steps = 2) {
  return {.step = kStep, .lead_steps = lead_steps, .targets = std::move(targets)};
}

// Feeds [begin, end), and calls `each` with the step that was decided for, and what came.
inline void Feed(CapacityPlanner& planner, int64_t begin, int64_t end, const NeedBy& need,
                 const std::function<void(int64_t)>& each = {}) {
  for (int64_t step = begin; step < end; ++step) {
    if (each) each(step);
    planner.Observe(TimeOf(step), need(step), {}).IgnoreError();
  }
}

}  // namespace shadow::testing
