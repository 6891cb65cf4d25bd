// Fits of forecasters are effects: background workers make them from a copy, and each counts from a
// fixed later step on, so that it does not matter when it is made. A pool whose next decision needs
// one that is not there yet is put off, that pool alone. Control thread only.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// Lines its fit up, if one is due and not begun.
void QueueFit(World& world, PoolEntry& pool);

// Begins those that count first, as many as may be under way.
void BeginFits(Changes& changes);

// Whether a decision at `now` has to wait for a fit that waits or is under way. Without it the
// decision would be the same, and the fit made within it.
bool AwaitsFit(const PoolEntry& pool, absl::Time now);

// What a worker has made. nullptr: the pool is gone.
void OnFit(Changes& changes, PoolEntry* pool, const EffectResult& result);

inline constexpr int kFitsInFlightMax = 64;  // A copy of a history each: some 35 KB.

}  // namespace shadow
