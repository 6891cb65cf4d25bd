// What a way to scale has cost and missed, from what there was in each step. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/time/time.h"

namespace shadow::simulation {

// One step. Counts are instances beside the base.
struct StepTally {
  std::optional<int> need;  // That the demand needed; unset: no sample, not scored.
  int work = 0;             // Needed with those that the base stands for: ceil(demand / capacity).
  int wanted = 0;           // That existed: active, suspended and launching.
  int ready = 0;            // Of those, the ones that serve or can within seconds.
  int active = 0;           // Of those, the ones that serve.
  int created = 0;          // Begun in this step.
  int target = 0;           // That were decided on; what there is follows as fast as it may.
};

struct Score {
  int64_t steps = 0;  // Scored ones.
  int64_t missed = 0;
  double hit_rate = 1;        // Share of steps with need <= ready.
  double unserved_share = 0;  // sum max(0, need - ready) / sum work
  double idle_share = 0;      // sum (max(0, ready - need) + wanted - ready) / sum work
  double created_per_day = 0;
  double idle_instance_hours = 0;
  double unserved_instance_hours = 0;
};

// e.g. needs 2, 3, 1 (no base), wanted 3, 3, 3, ready 2, 2, 3: one step of three is missed, 1/6 of
// the work unserved, idle (0 + 1) + (0 + 1) + (2 + 0) = 4, share 4/6. Shares are 0 without work.
Score ScoreOf(std::span<const StepTally> steps, absl::Duration step);

// `idle_cost`: of an instance without work, an hour; `shortage_cost`: of one that is missing.
double CostOf(const Score& score, double idle_cost, double shortage_cost);

// Instances that `demand` needs beside a base of `base` (both demand units, capacity > 0):
// ceil((demand - base) / capacity), at least 0. e.g. (190, 80, 40) -> 3.
int NeedBeside(double demand, double base, double capacity);

}  // namespace shadow::simulation
