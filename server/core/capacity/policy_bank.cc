#include "server/core/capacity/policy_bank.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace shadow {
namespace {

constexpr double kHalfLifeDays = 30;
constexpr int kUnscoredDays = 2;  // A day without a distribution, and one with a young one.
constexpr double kScoredDaysLeast = 0.97;  // A day of scored steps fades to .988.

constexpr double kPromiseMax = 0.3;
constexpr double kPromise = 0.85;
constexpr double kPromisedMisses = 3;  // What the promise weighs.
constexpr double kPromisedStepsMin = 1200;
constexpr double kPromisedDaysMin = 5;  // Where that is less.
constexpr double kPromisedStepsMax = 4000;
constexpr double kFirstMissSize = 2;  // Instances that a miss lacks, before any is seen.

// The rule while there is no distribution: last need x 3 / 2 + 2, rounded up.
int WithoutDistribution(int last) { return std::min((3 * last + 1) / 2 + 2, kNeedMax); }

}  // namespace

PolicyBank::PolicyBank(const Options& options)
    : options_(options),
      fade_(std::exp2(-1 / (kHalfLifeDays * options.day_steps))),
      windows_(options.prices.size(), LeadWindow(options.lead_steps)),
      tallies_(options.prices.size()) {}

void PolicyBank::Score(std::optional<int> need) {
  if (!need.has_value() || decided_ <= kUnscoredDays * options_.day_steps) return;
  for (size_t policy = 0; policy < size(); ++policy) {
    const int ready = windows_[policy].ready();
    const int launching = windows_[policy].want() - ready;
    Tally& tally = tallies_[policy];
    tally.misses = tally.misses * fade_ + (*need > ready ? 1 : 0);
    tally.missing = tally.missing * fade_ + std::max(0, *need - ready);
    tally.idle = tally.idle * fade_ + std::max(0, ready - *need) + launching;
  }
  scored_ = scored_ * fade_ + 1;
}

bool PolicyBank::Dearer(size_t policy, bool launches) const {
  if (policy == 0) return false;
  const CapacityPrices& before = prices(policy - 1);
  const CapacityPrices& now = prices(policy);
  return now.miss >= before.miss && now.shortage == before.shortage &&
         now.launch == before.launch && (!launches || Want(policy) >= Want(policy - 1));
}

void PolicyBank::Decide(const NeedDistribution& need, int least, bool known) {
  std::array<int, kPoliciesMax> wants{};
  if (need.ready()) {
    for (size_t i = 0; i < need.horizons().size(); ++i) {
      const StepCosts costs(need.Mass(i));
      const bool lead = i + 1 == need.horizons().size();
      int cheapest = 0;
      for (size_t policy = 0; policy < size(); ++policy) {
        const int wanted = Want(policy);
        const int lowest = Dearer(policy, lead) ? cheapest : 0;
        cheapest = costs.Cheapest(prices(policy), lead ? wanted : kNeedMax, lowest);
        wants[policy] = std::max(wants[policy], lead ? cheapest : std::min(cheapest, wanted));
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
  for (LeadWindow& window : windows_) window.Push(window.want());
  ++decided_;
}

double PolicyBank::Promise(size_t policy) const {
  const double miss = prices(policy).miss;
  return std::min(kPromiseMax,
                  miss > 0 ? kPromise / (1 + miss) : 1 / (1 + prices(policy).shortage));
}

double PolicyBank::MissRate(size_t policy) const {
  const double promised = Promise(policy);
  const double least = std::min(kPromisedStepsMin, kPromisedDaysMin * options_.day_steps);
  const double steps = std::clamp(kPromisedMisses / promised, least, kPromisedStepsMax);
  return (tallies_[policy].misses + steps * promised) / (scored_ + steps);
}

size_t PolicyBank::Cheapest(size_t own) const {
  if (scored_ < kScoredDaysLeast * options_.day_steps) return own;
  std::vector<size_t> candidates = {own};
  for (size_t policy = 0; policy < size(); ++policy) {
    if (prices(policy).miss > 0) candidates.push_back(policy);
  }
  double misses = 0;
  double missing = 0;
  for (const size_t policy : candidates) {
    misses += tallies_[policy].misses;
    missing += tallies_[policy].missing;
  }
  const double miss_size = (missing + kFirstMissSize) / (misses + 1);
  const auto cost = [&](size_t policy) {
    const Tally& tally = tallies_[policy];
    const double promised = Promise(policy);
    const double steps = std::min(kPromisedMisses / promised, kPromisedStepsMax);
    const double missing_rate = (tally.missing + steps * promised * miss_size) / (scored_ + steps);
    return tally.idle / scored_ + prices(own).shortage * missing_rate;
  };
  return *std::min_element(candidates.begin(), candidates.end(),
                           [&](size_t a, size_t b) { return cost(a) < cost(b); });
}

size_t PolicyBank::StateBytes() const {
  size_t bytes = sizeof(*this) + size() * sizeof(CapacityPrices) + size() * sizeof(Tally);
  for (const LeadWindow& window : windows_) bytes += window.StateBytes();
  return bytes;
}

void PolicyBank::Save(SavedWriter& writer) const {
  writer.I64(decided_);
  writer.F64(scored_);
  for (size_t policy = 0; policy < size(); ++policy) {
    writer.F64(tallies_[policy].misses);
    writer.F64(tallies_[policy].missing);
    writer.F64(tallies_[policy].idle);
    windows_[policy].Save(writer);
  }
}

bool PolicyBank::Restore(SavedReader& reader) {
  decided_ = reader.I64();
  scored_ = reader.F64();
  bool fits =
      decided_ >= 0 && decided_ <= kSavedStepsMax && scored_ >= 0 && scored_ <= kSavedStepsMax;
  for (size_t policy = 0; policy < size(); ++policy) {
    Tally& tally = tallies_[policy];
    tally.misses = reader.F64();
    tally.missing = reader.F64();
    tally.idle = reader.F64();
    const double most = scored_ * kNeedMax;
    fits = fits && tally.misses >= 0 && tally.misses <= scored_;
    fits = fits && tally.missing >= tally.misses && tally.missing <= most;
    fits = fits && tally.idle >= 0 && tally.idle <= most;
    fits = windows_[policy].Restore(reader) && fits;
  }
  return fits && reader.ok();
}

}  // namespace shadow
