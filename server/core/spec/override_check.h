// Overrides of a pool's bounds that contradict each other, or the policy.
#pragma once

#include "absl/status/status.h"
#include "server/core/spec.h"

namespace shadow {

// kInvalidArgument: an override has a minimum and no maximum, and at each of its times the maximum
// in force (BoundsAt) is lower, so the minimum could never be kept. Those that are never in force
// together are not compared. Of what comes in; a pool that was stored before stays as it is.
absl::Status CheckOverrides(const CompiledPool& pool);

}  // namespace shadow
