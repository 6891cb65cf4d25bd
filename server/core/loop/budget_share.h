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

// How many instances of older revisions' shadows may serve. They leave room for the present
// shadow's instances in the balancer and for its next one that is warm and waits for a slot, so
// slots change hands one by one. INT_MAX: the slots are not known. Never 0 while no other instance
// of the pool serves.
int OldServingMax(const PoolEntry& pool);

// The same for the base: one of its instances of an older revision must give its slot away.
bool BaseYieldsSlot(const PoolEntry& pool);

// Shows what the host allows the pool: slots of its balancer, and what instances_max leaves to it.
void ShowLimits(const World& world, PoolEntry& pool);

}  // namespace shadow
