// What the live page is told of all pools and of one, as JSON. Pure. Times are seconds since 1970,
// null where unknown.
#pragma once

#include <cstddef>
#include <string>

#include "server/core/loop/status/snapshot.h"

namespace shadow {

inline constexpr size_t kFeedInstancesMax = 500;  // Of one pool; the others are only counted.

// All pools at a glance: counts over all, and the first `pools_max` by name.
std::string StateJson(const Snapshot& snapshot, size_t pools_max);

// One pool with its shadows, instances and conditions.
std::string PoolJson(const PoolSnapshot& pool);

}  // namespace shadow
