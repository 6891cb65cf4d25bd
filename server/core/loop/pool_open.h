// Makes the parts of a pool that are not on disk. Control thread only.
#pragma once

#include <memory>

#include "server/core/loop/changes.h"

namespace shadow {

// Makes the forecaster and the capacity that `pool.spec` asks for; they go on with what those
// before had learned.
void OpenForecasts(PoolEntry& pool);

// Its instances are listed from now on, if they were not yet.
void AddProvider(World& world, std::shared_ptr<const CompiledProvider> provider,
                 absl::Duration now);

// Makes forecaster, capacity and timers. `pool.spec` is set.
void OpenPool(World& world, PoolEntry& pool, Instant now);

// Of a loaded pool, after CloseAllSteps: it goes on as if there had been no restart.
void ResumePool(Changes& changes, PoolEntry& pool);

inline constexpr absl::Duration kFirstSave = absl::Minutes(15);  // To twice that, by pool.

}  // namespace shadow
