// What concerns one pool alone, done for many pools side by side: steps that end, saves. It
// touches nothing but its pool's entry, so what comes of it does not depend on the threads. The
// functions themselves: control thread only.
#pragma once

#include <cstddef>
#include <span>

#include "server/core/loop/changes.h"

namespace shadow {

// Closes what ended of the steps of `pools`, plans by it, looks ahead and decides on SIZE as far as
// that concerns the pool alone; not of those that await a fit.
void PlanEndedSteps(std::span<PoolEntry* const> pools, Instant now,
                    const ParallelFor& parallel_for);

// Closes what ended of the steps of all pools, at a start.
void CloseAllSteps(World& world, absl::Time now, const ParallelFor& parallel_for);

// A save takes a tenth of a millisecond, and may be due for many pools at once: they queue, and
// each tick makes a few.
void QueueSave(World& world, PoolEntry& pool);
void SaveNext(Changes& changes, const ParallelFor& parallel_for);

// Writes what forecaster and capacity of one pool have learned with the rest.
void SaveNow(Changes& changes, PoolEntry& pool);

inline constexpr size_t kSavesPerTick = 32;  // Some 3 ms, and 2 MB.

}  // namespace shadow
