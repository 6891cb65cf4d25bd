// The check of suspended instances, so that none rots: resumed, warmed up, verified, suspended
// again, and never shown to the balancer. Control thread only.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// Begins the check of the suspended instance whose last verification is the oldest, if that is
// older than the policy's `suspended_check_interval` and the pool can spare it: its provider
// answers, every instance that its targets ask for is there and at rest, and what demand needs
// serves. So one of a pool is checked at a time, and one that failed is replaced before the next
// check. Looked at whenever the pool is settled, which is each activation interval at least; by the
// wall clock and the records alone, so that a restart changes nothing. Returns the instance, whose
// task is to be advanced; nullptr: none.
Member* BeginDueCheck(Changes& changes, PoolEntry& pool);

}  // namespace shadow
