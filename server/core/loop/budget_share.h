// What is scarce: the daemon's instances, shared between its pools, and the slots of a pool's
// balancer, shared between DNA revisions. Control thread only.
#pragma once

#include <optional>

#include "server/core/loop/world.h"

namespace shadow {

// Counts anew what all pools have been promised; once a tick. Meanwhile Budget::promised follows.
void CountBudget(World& world);
int PromisedNow(const World& world);

// How many shadow instances `pool` may have, which wants `wanted` of them; unset: as many as it
// wants, for there are enough, or a person decides. Bases and what a person holds come first; then
// see ShareBudget. What is promised never grows beyond what there is.
std::optional<int> BudgetShare(World& world, PoolEntry& pool, int wanted, absl::Duration now);

// The one writer of `deleting`; keeps count of what is promised.
void SetDeleting(World& world, ShadowEntry& shadow, bool deleting);

// How many instances of older revisions' shadows may serve beside what that of the present one has
// in the balancer, and the next one of it that is warm and waits for a slot: where there are too
// few slots for both, one after the other changes hands. INT_MAX: the slots are not known. Never 0
// while nothing else of the pool serves.
int OldServingMax(const PoolEntry& pool);

// The same for the base: one of its instances of an older revision is to give its slot away.
bool BaseYieldsSlot(const PoolEntry& pool);

// Shows what the host allows the pool: slots of its balancer, and what instances_max leaves to it.
void ShowLimits(const World& world, PoolEntry& pool);

}  // namespace shadow
