#include "server/core/capacity/policy_bank.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace shadow {
namespace {

constexpr double kHalfLifeDays = 30;
constexpr int kUnscoredDays = 2;  // A day without a distribution, and one with a young one.

constexpr double kPromiseMax = 0.3;
constexpr double kPromise = 0.85;
constexpr double kPromisedMisses = 1.5;  // What the promise weighs.
constexpr double kPromisedStepsMin = 600;
constexpr double kPromisedStepsMax = 4000;

// The rule while there is no distribution: last need x 3 / 2 + 2, rounded up.
int WithoutDistribution(int last) { return std::min((3 * last + 1) / 2 + 2, kNeedMax); }

}  // namespace

PolicyBank::PolicyBank(const Options& options)
    : options_(options),
      fade_(std::exp2(-1 / (kHalfLifeDays * options.day_steps))),
      windows_(options.prices.size(), WantWindow(options.lead_steps)),
      misses_(options.prices.size()) {}

void PolicyBank::Score(std::optional<int> need) {
  if (!need.has_value() || decided_ <= kUnscoredDays * options_.day_steps) return;
  for (size_t policy = 0; policy < size(); ++policy) {
    misses_[policy] = misses_[policy] * fade_ + (*need > windows_[policy].ready() ? 1 : 0);
  }
  scored_ = scored_ * fade_ + 1;
}

void PolicyBank::Decide(const NeedDistribution& need, int least, bool known) {
  std::array<int, kPoliciesMax> wants{};
  if (need.ready()) {
    for (size_t i = 0; i < need.horizons().size(); ++i) {
      const StepCosts costs(need.Mass(i));
      const bool lead = i + 1 == need.horizons().size();
      for (size_t policy = 0; policy < size(); ++policy) {
        const int wanted = Want(policy);
        const int count = lead ? costs.Cheapest(prices(policy), wanted)
                               : std::min(costs.Cheapest(prices(policy), kNeedMax), wanted);
        wants[policy] = std::max(wants[policy], count);
      }
    }
  } else {
    wants.fill(WithoutDistribution(need.last()));
  }
  for (size_t policy = 0; policy < size(); ++policy) {
    const int bound = std::min(known ? least : std::max(least, Want(policy)), kNeedMax);
    windows_[policy].Push(std::clamp(wants[policy], bound, kNeedMax));
  }
  ++decided_;
}

void PolicyBank::Hold() {
  for (WantWindow& window : windows_) window.Push(window.want());
  ++decided_;
}

double PolicyBank::MissRate(size_t policy) const {
  const double promised = std::min(kPromiseMax, kPromise / (1 + prices(policy).miss));
  const double steps = std::clamp(kPromisedMisses / promised, kPromisedStepsMin, kPromisedStepsMax);
  return (misses_[policy] + steps * promised) / (scored_ + steps);
}

size_t PolicyBank::StateBytes() const {
  size_t bytes = sizeof(*this) + size() * sizeof(CapacityPrices) + size() * sizeof(double);
  for (const WantWindow& window : windows_) bytes += window.StateBytes();
  return bytes;
}

void PolicyBank::Save(SavedWriter& writer) const {
  writer.I64(decided_);
  writer.F64(scored_);
  for (size_t policy = 0; policy < size(); ++policy) {
    writer.F64(misses_[policy]);
    windows_[policy].Save(writer);
  }
}

bool PolicyBank::Restore(SavedReader& reader) {
  decided_ = reader.I64();
  scored_ = reader.F64();
  bool fits =
      decided_ >= 0 && decided_ <= kSavedStepsMax && scored_ >= 0 && scored_ <= kSavedStepsMax;
  for (size_t policy = 0; policy < size(); ++policy) {
    misses_[policy] = reader.F64();
    fits = fits && misses_[policy] >= 0 && misses_[policy] <= scored_;
    fits = windows_[policy].Restore(reader) && fits;
  }
  return fits && reader.ok();
}

}  // namespace shadow
