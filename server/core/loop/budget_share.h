// What is scarce: the daemon's instances, shared between its pools, and the slots of a pool's
// balancer, shared between DNA revisions. Control thread only.
#pragma once

#include <optional>

#include "server/core/loop/world.h"

namespace shadow {

// Brings the budget's counts up to date with `pool`, after its spec, its targets, or what it wants
// has changed.
void CountPool(World& world, PoolEntry& pool);
void CountAllPools(World& world);
// The part of `pool`, counted anew.
PoolCount CountOf(const PoolEntry& pool);
// Whether the counts are those of all pools, counted anew; that of all instances too.
bool IsCounted(const World& world);

// How many shadow instances `pool` may have, which wants `wanted` of them; unset: as many as it
// wants, for there are enough, or a person decides. Bases and what a person holds come first; then
// see ShareBudget. What is promised never grows beyond what there is.
std::optional<int> BudgetShare(World& world, PoolEntry& pool, int wanted, absl::Duration now);

// The one writer of `deleting`; counts the pool.
void SetDeleting(World& world, PoolEntry& pool, ShadowEntry& shadow, bool deleting);

// How many instances of older revisions' shadows may serve. They leave room for the present
// shadow's instances in the balancer and for its next one that is warm and waits for a slot, so
// slots change hands one by one. INT_MAX: the slots are not known. Never 0 while no other instance
// of the pool serves.
int OldServingMax(const PoolEntry& pool);

// The same for the base, or the present shadow: one of its instances that is of an older revision
// or to be restarted must give its slot away. `shadow`: short; empty: the base.
bool YieldsSlot(const PoolEntry& pool, const std::string& shadow);

// Shows what the host allows the pool: slots of its balancer, and what instances_max leaves to it.
void ShowLimits(const World& world, PoolEntry& pool);

}  // namespace shadow
