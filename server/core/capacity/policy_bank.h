// Policies of constant prices, all replayed side by side, to know what each would have missed.
#pragma once

#include <optional>
#include <vector>

#include "forecast/need/need_distribution.h"
#include "forecast/saved_bytes.h"
#include "server/core/capacity/newsvendor.h"
#include "server/core/capacity/want_window.h"

namespace shadow {

// Not thread-safe.
class PolicyBank {
 public:
  struct Options {
    int lead_steps = 1;
    int day_steps = 288;
    std::vector<CapacityPrices> prices;  // One policy each, at most kPoliciesMax.
  };
  static constexpr size_t kPoliciesMax = 64;

  explicit PolicyBank(const Options& options);

  // The step that was decided for last is over: what did each policy miss? Unset: unknown.
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
  //   (misses + n p) / (steps + n), p = min(.3, .85 / (1 + miss)), n = 1.5 / p in [600, 4000] steps
  double MissRate(size_t policy) const;

  size_t StateBytes() const;
  void Save(SavedWriter& writer) const;
  // False: not from Save of the same options; this is in no usable state then.
  bool Restore(SavedReader& reader);

 private:
  Options options_;
  double fade_;  // Of counts, a step.
  std::vector<WantWindow> windows_;
  std::vector<double> misses_;  // By policy, faded.
  double scored_ = 0;           // Steps, faded.
  int64_t decided_ = 0;         // Steps.
};

}  // namespace shadow
