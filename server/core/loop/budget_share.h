// The daemon's instances, shared between its pools. Control thread only.
#pragma once

#include <optional>

#include "server/core/loop/world.h"

namespace shadow {

// Counts anew what all pools have been promised; once a tick.
void CountBudget(World& world);

// How many shadow instances `pool` may have, which wants `wanted` of them; unset: as many as it
// wants, for there are enough, or a person decides. Bases and what a person holds come first; then
// see ShareBudget. What is promised never grows beyond what there is.
std::optional<int> BudgetShare(World& world, PoolEntry& pool, int wanted, absl::Duration now);

// The one writer of `deleting`; keeps count of what is promised.
void SetDeleting(World& world, ShadowEntry& shadow, bool deleting);

// Shows what the host allows the pool: slots of its balancer, and what instances_max leaves to it.
void ShowLimits(const World& world, PoolEntry& pool);

}  // namespace shadow
