// A wall clock that is set while the daemon runs, or was ahead before it started.
#pragma once

#include "absl/time/time.h"
#include "server/core/loop/changes.h"

namespace shadow {

// At the begin of each input. Where the wall clock moved by kClockJumpMin or more against the
// monotonic one since the last input, tells people; where it was set back, the pools follow it.
void FollowClock(Changes& changes);

// What `pool` has from beyond `changes.now()` counts no more, so that its samples are taken again
// and its sizes decided at once. A step that was closed stays so: until the clock has passed it
// again the forecast stands still, and only the level follows demand. A forecaster that is more
// than the shortest season ahead learns again from the samples up to now.
void ComeBack(Changes& changes, PoolEntry& pool);

inline constexpr absl::Duration kClockJumpMin = absl::Seconds(5);

}  // namespace shadow
