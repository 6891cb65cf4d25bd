// What needs no forecast, on the same demand: a fixed pool, target tracking, cold starts. Pure.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "absl/time/time.h"
#include "forecast/need/load.h"
#include "server/core/simulation/demand_series.h"
#include "server/core/simulation/score.h"

namespace shadow::simulation {

// The demand as alternatives see it; each wants for a step what the steps before it tell.
struct NeedSeries {
  std::vector<std::optional<int>> needs;  // Beside the base, by step; unset: no sample.
  std::vector<int> work;                  // As StepTally.work, by step.
  absl::Duration step;
  int lead_steps = 1;       // From wanted to ready, at least 1.
  size_t first_scored = 0;  // Steps before it are history.
  std::vector<int> most;    // Instances that there may be beside the base, by step; empty: any.
  int creations_max = kNeedMax;  // That may be begun in a step, less those that are not ready yet.
};

// Of demand beside a base of `base` (demand units), an instance carrying `capacity`; nothing bounds
// how many there may be.
NeedSeries NeedsOf(const DemandSeries& demand, double base, double capacity);

// The scored steps of a policy that wants `wants[t]`, or the most there may be, in step t, and gets
// it as fast as creations allow. Ready is what there was throughout t - lead .. t: e.g. wants 1, 3,
// 3, 2, 2 with a lead of 1 step are ready 1, 1, 3, 2, 2, or 1, 1, 2, 2, 2 with one creation at one
// time.
std::vector<StepTally> TalliesOf(const NeedSeries& series, std::span<const int> wants);

// The need of the step before, by step; of missing ones the last that was known, at first 0.
std::vector<int> LastNeeds(const NeedSeries& series);

// `spare` instances beyond the last need, refilled.
std::vector<StepTally> FixedPool(const NeedSeries& series, int spare);

// The least number of spare instances with which a fixed pool reaches `hit_rate`; unset: none of at
// most kSpareMax does, or `most` keeps it from that.
std::optional<int> SpareFor(const NeedSeries& series, double hit_rate);
inline constexpr int kSpareMax = 1024;

// Target tracking: the higher of the last need x headroom, rounded up, and one more than it; less
// only after `window`.
std::vector<StepTally> TargetTracking(const NeedSeries& series, double headroom,
                                      absl::Duration window);

// Nothing waits: what the last need asks for is started when it does.
std::vector<StepTally> ColdStarts(const NeedSeries& series);

// Nothing beside the base.
std::vector<StepTally> BaseOnly(const NeedSeries& series);

}  // namespace shadow::simulation
