// Policies of constant prices, all replayed side by side, to know what each would have missed and
// cost.
#pragma once

#include <optional>
#include <vector>

#include "forecast/need/need_distribution.h"
#include "forecast/saved_bytes.h"
#include "server/core/capacity/lead_window.h"
#include "server/core/capacity/newsvendor.h"

namespace shadow {

// Part of a CapacityPlanner, which alone calls it, once a step: Score, then Decide or Hold. Not
// thread-safe.
class PolicyBank {
 public:
  struct Options {
    int lead_steps = 1;
    int day_steps = 288;
    std::vector<CapacityPrices> prices;  // One policy each, at most kPoliciesMax.
  };
  static constexpr size_t kPoliciesMax = 64;

  explicit PolicyBank(const Options& options);

  // The step that was decided for last is over: what did each policy miss and cost? Unset: unknown.
  void Score(std::optional<int> need);

  // Decides for the next step, of which `need` has the distribution:
  //   want = max(cheapest count at the lead, highest of min(wanted before, cheapest count) at the
  //   horizons before it)
  // What is launched now is ready at the lead, not before; what is let go now is missing until
  // then. At least `least`. `known`: whether the newest need is; if not, nobody wants less than
  // before. While there is no distribution: half as much again as the last need, and 2.
  void Decide(const NeedDistribution& need, int least, bool known);

  // A step that nobody decides for: what was wanted stays.
  void Hold();

  size_t size() const { return options_.prices.size(); }
  const CapacityPrices& prices(size_t policy) const { return options_.prices[policy]; }
  int Want(size_t policy) const { return windows_[policy].want(); }

  // Share of steps that the policy missed, half-life 30 days, mixed with what its prices promise:
  //   (misses + n p) / (steps + n), n = 3 / p in [m, 4000] steps, m = min(1200 steps, 5 days)
  //   p = min(.3, .85 / (1 + miss)), without a price of a miss min(.3, 1 / (1 + shortage))
  double MissRate(size_t policy) const;

  // Of `own`, whose price of a shortage is the true one, and those that price a miss, the policy
  // that would have been the cheapest. Its cost a step, half-life 30 days:
  //   idle / steps + own's shortage (missing + n p s) / (steps + n), n = min(3 / p, 4000) steps,
  //   p as above, s = (missing instances of all of these + 2) / (their misses + 1)
  // Idle ones are those beyond the need and those that launch. Until a day is scored: `own`.
  // e.g. a day of 100 steps, own (shortage 9) with 200 idle and 1 missing instance-steps in 1 miss,
  // another (miss 16) with 150 and 4 in 2: s = 7/4; own: p = .1, n = 30, 2 + 9 (1 + 5.25) / 130 =
  // 2.433; the other: p = .05, n = 60, 1.5 + 9 (4 + 5.25) / 160 = 2.020, the cheaper.
  size_t Cheapest(size_t own) const;

  size_t StateBytes() const;
  void Save(SavedWriter& writer) const;
  // False: not from Save of the same options; this is in no usable state then.
  bool Restore(SavedReader& reader);

 private:
  struct Tally {         // All faded.
    double misses = 0;   // Steps.
    double missing = 0;  // Instance-steps short.
    double idle = 0;     // Instance-steps beyond the need, launching ones too.
  };
  double Promise(size_t policy) const;
  // Whether the cheapest count is no less than that of the policy before it: a miss costs no less,
  // the rest the same, and, where launches count, no fewer are there.
  bool Dearer(size_t policy, bool launches) const;

  Options options_;
  double fade_;  // Of counts, a step.
  std::vector<LeadWindow> windows_;
  std::vector<Tally> tallies_;  // By policy.
  double scored_ = 0;           // Steps, faded.
  int64_t decided_ = 0;         // Steps.
};

}  // namespace shadow
