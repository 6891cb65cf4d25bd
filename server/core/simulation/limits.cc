#include "server/core/simulation/limits.h"

#include <algorithm>
#include <map>

#include "forecast/need/load.h"

namespace shadow::simulation {
namespace {

using B = v1::BindingLimit;

// The limit that caused one miss.
struct Cause {
  B::Kind kind = B::KIND_UNSPECIFIED;  // The plan itself.
  int value = kNeedMax;
  int missing = 0;
  std::string override = {};
};

Cause LowestOf(const Bounds& bounds, const HostLimits& host) {
  Cause lowest{.kind = B::MAX_SHADOW_INSTANCES,
               .value = bounds.max_instances,
               .missing = 0,
               .override = bounds.by};
  const auto consider = [&](B::Kind kind, const std::optional<int>& value) {
    if (value.has_value() && *value < lowest.value) lowest = {.kind = kind, .value = *value};
  };
  consider(B::BALANCER_SLOTS, host.balancer_slots);
  consider(B::INSTANCES_MAX, host.instances_left);
  return lowest;
}

Cause CauseOf(std::span<const StepTally> tallies, size_t step, const ReplayLimits& limits) {
  const StepTally& tally = tallies[step];
  Cause lowest = LowestOf(limits.bounds[step], limits.host);
  if (*tally.need > lowest.value) {
    lowest.missing = *tally.need - std::max(tally.ready, lowest.value);
    return lowest;
  }
  int decided = *tally.need;
  bool waited = false;  // For a creation that had to end first.
  for (size_t s = step - std::min(step, static_cast<size_t>(limits.lead_steps)); s <= step; ++s) {
    decided = std::min(decided, tallies[s].target);
    waited |= tallies[s].wanted < tallies[s].target;
  }
  if (!waited || decided <= tally.ready) return {};
  return {.kind = B::MAX_CONCURRENT_CREATIONS,
          .value = limits.creations_max,
          .missing = decided - tally.ready};
}

void Count(const Cause& cause, int need, B& limit) {
  const bool first = limit.missed_steps() == 0;
  limit.set_kind(cause.kind);
  limit.set_missed_steps(limit.missed_steps() + 1);
  if (first || cause.value < limit.value()) {
    limit.set_value(cause.value);
    limit.set_override(cause.override);
  }
  limit.set_missing_instances(std::max(limit.missing_instances(), cause.missing));
  const int sufficient =
      cause.kind == B::MAX_CONCURRENT_CREATIONS ? cause.value + cause.missing : need;
  limit.set_sufficient(std::max(limit.sufficient(), sufficient));
}

}  // namespace

int HostLimits::Most() const {
  return std::min(balancer_slots.value_or(kNeedMax), instances_left.value_or(kNeedMax));
}

std::vector<B> BindingLimits(std::span<const StepTally> tallies, const ReplayLimits& limits) {
  std::map<B::Kind, B> found;
  for (size_t step = 0; step < tallies.size(); ++step) {
    const StepTally& tally = tallies[step];
    if (!tally.need.has_value() || *tally.need <= tally.ready) continue;
    const Cause cause = CauseOf(tallies, step, limits);
    if (cause.kind != B::KIND_UNSPECIFIED) Count(cause, *tally.need, found[cause.kind]);
  }
  std::vector<B> sorted;
  sorted.reserve(found.size());
  for (const auto& [kind, limit] : found) sorted.push_back(limit);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const B& a, const B& b) { return a.missed_steps() > b.missed_steps(); });
  return sorted;
}

}  // namespace shadow::simulation
