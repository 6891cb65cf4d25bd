// Brings the members of a pool towards its targets. Control thread only.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// Brings its members towards its targets and issues due tasks; sets when it is due. Returns false
// if the pool is gone now: it has been erased.
bool Settle(Changes& changes, PoolEntry& pool);

// Whether a canary is judged or a drain awaited, so that the balancer is looked at often.
bool Moving(const PoolEntry& pool);

inline constexpr absl::Duration kViewIntervalMin = absl::Seconds(1);  // While nothing moves.
inline constexpr absl::Duration kViewIntervalMoving =
    absl::Milliseconds(50);  // A canary or a drain.
inline constexpr absl::Duration kFailedRetention = absl::Minutes(10);
inline constexpr int kFailedKept = 3;  // Of a group; older ones are forgotten at once.

}  // namespace shadow
