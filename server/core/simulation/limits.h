// Which limits kept a replay from what its demand needed, and by how much. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "server/core/simulation/score.h"
#include "server/core/spec/bounds.h"
#include "shadow/v1/pool.pb.h"

namespace shadow::simulation {

// Of the host, not of a policy. Shadow instances; unset: none is known.
struct HostLimits {
  std::optional<int> balancer_slots;  // Beside the base.
  std::optional<int> instances_left;  // By the daemon's instances_max.

  int Most() const;  // kNeedMax: any number.
};

// Those of one replay.
struct ReplayLimits {
  std::vector<Bounds> bounds;  // Of the policy, by scored step.
  HostLimits host;
  int creations_max = 1;  // At one time.
  int lead_steps = 1;
};

// The limits that caused missed steps, most of them first. A step that needs more than may be is
// missed because of the lowest of those limits. Otherwise it is missed because of creations_max as
// far as what was decided on throughout the lead would have been ready without it.
// e.g. need 9, ready 4, at most 7 by the policy: the policy's 7 keep 2 away, 9 would suffice.
std::vector<v1::BindingLimit> BindingLimits(std::span<const StepTally> tallies,
                                            const ReplayLimits& limits);

}  // namespace shadow::simulation
