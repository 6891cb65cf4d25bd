// Lets the planner decide for a pool, and carries the targets out. Control thread only, but for
// InputsNow, which any thread may call that has the pool for itself.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// The planner's inputs as they were at the last DecisionTick.
v1::Decision::Inputs InputsNow(PoolEntry& pool, absl::Time now);

// The last tick of the pool's activation intervals (of its steps, if those are shorter), which lie
// on the wall clock. Decisions go by what it was then, so that one made soon after it, by a daemon
// that starts, is the same.
absl::Time DecisionTick(const PoolEntry& pool, absl::Time now);

// One decision: recorded if it differs from the last of its kind or `always_record`; carried out
// where the mode allows it. It stands until the next of its kind.
const v1::Decision& DecideAndAct(Changes& changes, PoolEntry& pool, v1::Decision::Kind kind,
                                 bool always_record = false);

// The pool's shadow of its present DNA revision, or nullptr.
ShadowEntry* CurrentShadow(PoolEntry& pool);

// The id of a shadow pool of the pool's present DNA revision, whether it exists or not.
std::string CurrentShadowId(const PoolEntry& pool);

// A new shadow pool of the present revision; SetTarget is to follow.
ShadowEntry& AddShadow(Changes& changes, PoolEntry& pool);

// What a shadow pool is to be; `kind` CREATED for a new one. `why`: for watchers.
struct ShadowTarget {
  int instances = 0;
  int level = 0;
  v1::Event::Kind kind = v1::Event::UPDATED;
};
void SetTarget(Changes& changes, PoolEntry& pool, ShadowEntry& shadow, const ShadowTarget& target,
               std::string_view why);

}  // namespace shadow
