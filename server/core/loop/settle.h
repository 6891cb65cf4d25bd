// Keeps a pool on its way: timers, targets, tasks. Control thread only.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// Makes the forecaster and the capacity that `pool.spec` asks for; they go on with what those
// before had learned.
void OpenForecasts(PoolEntry& pool);

// Makes the parts of a pool that are not on disk: forecaster and timers. `pool.spec` is set.
void OpenPool(World& world, PoolEntry& pool, Instant now);

// Of a loaded pool, after CloseAllSteps: it goes on as if there had been no restart.
void ResumePool(Changes& changes, PoolEntry& pool);

// What time alone brings: usage reads and levels every activation interval, sizes every step (which
// PlanEndedSteps has closed), looks at the balancer, expired holds.
void TickPool(Changes& changes, PoolEntry& pool);

// Brings its members towards its targets and issues due tasks; sets when it is due. Returns false
// if the pool is gone now: it has been erased.
bool Settle(Changes& changes, PoolEntry& pool);

inline constexpr absl::Duration kViewIntervalMin = absl::Seconds(1);  // While nothing moves.
inline constexpr absl::Duration kViewIntervalMoving =
    absl::Milliseconds(50);  // A canary or a drain.
inline constexpr absl::Duration kFailedRetention = absl::Minutes(10);
inline constexpr int kFailedKept = 3;  // Of a group; older ones are forgotten at once.
inline constexpr absl::Duration kFirstSave = absl::Minutes(15);  // To twice that, by pool.

}  // namespace shadow
