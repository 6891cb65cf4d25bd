// What time alone brings to a pool. Control thread only.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// Usage reads and levels every activation interval, sizes every step (which
// PlanEndedSteps has closed), looks at the balancer, expired holds.
void TickPool(Changes& changes, PoolEntry& pool);

}  // namespace shadow
