// Keeps scoring what AUTOMATIC would have meant for the pools in OBSERVE: one replay at a time, and
// rests in between. Control thread only.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// The next score of `pool`: soon, or, where it has one, an interval after it.
void ScheduleScore(PoolEntry& pool, Instant now);

// Issues the replay that has been due for longest, if it is time for one.
void ScoreNext(Changes& changes);

// When ScoreNext has something to do, monotonic.
absl::Duration NextScore(const World& world);

// The replay under way has ended. What came of it is dropped if the pool is gone (nullptr) or has
// another spec now. One that gave way to people's is not rested from.
void OnScore(Changes& changes, PoolEntry* pool, const EffectResult& result);

inline constexpr absl::Duration kScoreInterval = absl::Hours(1);
inline constexpr absl::Duration kScoreDelay = absl::Seconds(5);  // So that history may come first.
// After too little history, and after a replay that gave way to people's.
inline constexpr absl::Duration kScoreRetry = absl::Minutes(1);
// Between two replays, times what the last one took, waiting for people's included: they have a
// fifth of one core at most.
inline constexpr int kScoreRest = 4;

}  // namespace shadow
