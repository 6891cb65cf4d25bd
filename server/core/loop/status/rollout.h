// Rollouts: a pool's instances go over to another DNA revision. Control thread only.
#pragma once

#include <optional>
#include <string>

#include "server/core/loop/changes.h"

namespace shadow {

// Tells, each once, of a rollout that begins and of one that is complete: nothing of another
// revision is left but what has failed, and the base serves. A new pool has nothing to replace, so
// nothing is told of it.
void NoteRollout(Changes& changes, PoolEntry& pool);

// "2 of 3 instances run dnas/web@0123456789ab", and "; i7 waits: add: no free slot" where the
// balancer takes no new one; unset: no rollout is under way.
std::optional<std::string> RolloutText(const PoolEntry& pool);

}  // namespace shadow
