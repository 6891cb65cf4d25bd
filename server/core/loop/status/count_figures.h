// Keeps a pool's figures. Whoever has its entry calls this.
#pragma once

#include "server/core/loop/world.h"

namespace shadow {

// What `decision` went by.
void NoteDecision(PoolEntry& pool, const v1::Decision& decision, bool recorded);

// A live step of `demand` has ended now.
void NoteStep(PoolEntry& pool, double demand);

}  // namespace shadow
