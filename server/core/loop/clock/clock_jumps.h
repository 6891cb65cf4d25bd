// A wall clock that is set while the daemon runs, or was ahead before it started.
#pragma once

#include "absl/time/time.h"
#include "server/core/loop/changes.h"

namespace shadow {

// At the start of each input. If the wall clock moved by kClockJumpMin or more against the
// monotonic one since the last input, ClockSteady becomes FALSE, and each such jump is an event and
// a warning; if it was set back, the pools follow it.
void FollowClock(Changes& changes);

// At the start and in each tick: ClockSteady is TRUE again once kClockUnsettled has passed on the
// monotonic clock since the last jump.
void NoteSteadyClock(Changes& changes);

// Whether `pool` has learned or wants anything of a time after `now`.
bool IsAhead(const PoolEntry& pool, absl::Time now);

// Drops everything of `pool` that is later than `changes.now()`, so that its samples are taken
// again and its sizes decided at once. A step that was closed stays so: until the clock has passed
// it again the forecast stands still, and only the level follows demand. A forecaster that is more
// than the shortest season ahead learns again from the samples up to now.
void ComeBack(Changes& changes, PoolEntry& pool);

inline constexpr absl::Duration kClockJumpMin = absl::Seconds(5);
inline constexpr absl::Duration kClockUnsettled = absl::Minutes(10);

}  // namespace shadow
