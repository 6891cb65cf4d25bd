// How many instances are to exist, from the history of need: the pure heart of sizing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "forecast/need/need_distribution.h"
#include "server/core/capacity/policy_bank.h"
#include "server/core/capacity/service_level.h"

namespace shadow {

// What a policy asks for: a service level, or what things cost.
struct CapacityTarget {
  double service_level = 0;  // In (0, 1): share of steps that are to be covered. 0: by the costs.
  double idle_cost = 1;      // Of an instance without work for a step, > 0; any unit.
  double shortage_cost = 0;  // Of one that is missing for a step, >= 0; the same unit.
};

// Why so many.
struct CapacityChoice {
  int want = 0;  // Instances that are to exist, launching ones too, from the next step on.
  bool predicted = false;  // False: the rule of the first day, from the last need.
  // Of a step with too few, in instance-steps of idle. 0: the given costs alone decide.
  double miss_price = 0;
  double miss_rate = 0;  // What this price has missed, or promises.
  double budget = 0;     // Steps that may still be missed; below 0: overdrawn.
};

// Called once a step, for one pool. The same calls give the same choices, whatever happens between
// them: there is no clock, thread or I/O inside. Not thread-safe.
class CapacityPlanner {
 public:
  struct Options {
    absl::Duration step;                   // 1 s to 1 h.
    absl::Duration day = absl::Hours(24);  // The shortest season, at least a step.
    int lead_steps = 1;                    // From wanted to ready: 1 to kLeadStepsMax.
    std::vector<CapacityTarget> targets;   // 1 to kTargetsMax, decided for side by side.
  };
  static constexpr int kLeadStepsMax = NeedDistribution::kLeadStepsMax;
  static constexpr size_t kTargetsMax = 16;

  // `options` must be valid.
  explicit CapacityPlanner(const Options& options);

  // The step that began at `step_start` (a multiple of `step` since the Unix epoch) is over.
  // `load`: its demand in instances, not rounded; unset: missing. `forecast`: of load in the steps
  // after it; horizons 0 ... lead_steps are read. Steps left out count as missing. Decides for the
  // step after it, on no fewer than `least`.
  // kInvalidArgument: not on the grid, or a load that is negative or no number. kOutOfRange: not
  // after the last one.
  absl::Status Observe(absl::Time step_start, std::optional<double> load,
                       const LoadForecast& forecast, int least = 0);

  // Steps up to now were history; misses from the next one on count against the error budgets.
  void Start();

  // For the step after the last one that Observe was given; all 0 before the first.
  const CapacityChoice& Choice(size_t target) const { return targets_[target].choice; }
  // Of the instances that were wanted, those that are ready in that step.
  int Ready(size_t target) const { return targets_[target].window.ready(); }

  // The distribution behind it. Not ready() on the first day.
  const NeedDistribution& need() const { return need_; }

  // absl::InfinitePast() before the first.
  absl::Time last_step() const { return last_step_; }

  size_t StateBytes() const;

  // Everything, as bytes that Restore of the same options understands.
  std::string Save() const;
  // kInvalidArgument: not from Save, or for other options; nothing is changed then.
  absl::Status Restore(std::string_view saved);

 private:
  struct Target {
    Target(double service_level, const Options& options, size_t by_costs);
    ServiceLevel level;
    bool has_level;
    size_t policy;  // In bank_, where there is no level.
    LeadWindow window;
    CapacityChoice choice;
  };
  void Skip();
  void Choose(bool known);
  bool Read(SavedReader& reader);

  Options options_;
  NeedDistribution need_;
  PolicyBank bank_;
  std::vector<Target> targets_;
  absl::Time last_step_ = absl::InfinitePast();
};

}  // namespace shadow
