#include "server/core/loop/budget_share.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "server/core/capacity/budget.h"
#include "server/core/check.h"

namespace shadow {
namespace {

int TargetOf(const PoolEntry& pool) {
  int target = 0;
  for (const auto& [id, shadow] : pool.shadows) {
    if (!shadow.record.deleting()) target += shadow.record.shadow().target_instances();
  }
  return target;
}

// A person's targets, and those of pools that the planner does not act for.
bool Fixed(const PoolEntry& pool) {
  return pool.spec->pool.policy().mode() != v1::Policy::AUTOMATIC ||
         std::any_of(pool.shadows.begin(), pool.shadows.end(), [](const auto& entry) {
           return entry.second.record.shadow().has_hold_until_time();
         });
}

BudgetClaim ClaimOf(const PoolEntry& pool) {
  BudgetClaim claim{.priority = pool.spec->pool.policy().priority(),
                    .wanted = pool.planning.wanted,
                    .needed = pool.planning.needed,
                    .worth = pool.capacity->Worth(pool.planning.wanted)};
  if (claim.worth.empty())
    claim.worth.assign(static_cast<size_t>(std::max(0, pool.planning.wanted)), 1);
  return claim;
}

bool WaitsForSlot(const Member& member) {
  return member.record.instance().state() == v1::Instance::WARMING &&
         member.task == InstanceTask::kAdd;
}

// After a restart one that is woken anew may hold one too: it is counted once it has asked for it.
bool HoldsSlot(const Member& member) {
  const v1::Instance::State state = member.record.instance().state();
  const bool on_its_way =
      state == v1::Instance::RESUMING ||
      (state == v1::Instance::WARMING &&
       (member.task == InstanceTask::kWarmUp || member.task == InstanceTask::kAdd));
  return member.record.balanced() && !on_its_way;
}

// Of the instances of the present revision, in the base or in its shadow.
struct SlotUse {
  int held = 0;
  bool waits = false;   // One is warm and has no slot yet.
  bool enters = false;  // One has a slot, and its canary goes on.
};

SlotUse SlotUseOf(const PoolEntry& pool, bool base) {
  SlotUse use;
  for (const auto& [id, member] : pool.members) {
    const v1::Instance& instance = member.record.instance();
    if (member.shadow.empty() != base ||
        instance.dna_revision() != pool.record.pool().dna_revision()) {
      continue;
    }
    use.waits |= WaitsForSlot(member);
    if (!HoldsSlot(member)) continue;
    ++use.held;
    use.enters |= instance.state() == v1::Instance::WARMING;
  }
  return use;
}

// Whether the pool serves on without any one of its instances.
bool Spares(const PoolEntry& pool) {
  const auto active =
      std::count_if(pool.members.begin(), pool.members.end(), [](const auto& entry) {
        return entry.second.record.instance().state() == v1::Instance::ACTIVE;
      });
  return active > 1 || pool.spec->pool.external_capacity() > 0;
}

bool SlotsKnown(const PoolEntry& pool) {
  return pool.balancing.view.has_value() && pool.balancing.view->slots;
}

void Share(World& world) {
  int left = world.instances_max;
  std::vector<const std::string*> ids;
  std::vector<BudgetClaim> claims;
  for (const auto& [id, pool] : world.pools) {
    left -= pool.spec->pool.managed_instances();
    if (Fixed(pool)) {
      left -= TargetOf(pool);
    } else if (pool.planning.wanted > 0) {
      ids.push_back(&id);
      claims.push_back(ClaimOf(pool));
    }
  }
  const std::vector<int> shares = ShareBudget(claims, left);
  world.budget.shares.clear();
  for (size_t i = 0; i < ids.size(); ++i) world.budget.shares[*ids[i]] = shares[i];
}

}  // namespace

PoolCount CountOf(const PoolEntry& pool) {
  const int base = pool.spec->pool.managed_instances();
  const int target = TargetOf(pool);
  return {.promised = base + target,
          .base_and_wanted = base + (Fixed(pool) ? target : pool.planning.wanted)};
}

void CountPool(World& world, PoolEntry& pool) {
  const PoolCount now = CountOf(pool);
  world.budget.promised += now.promised - pool.planning.counted.promised;
  world.budget.base_and_wanted += now.base_and_wanted - pool.planning.counted.base_and_wanted;
  pool.planning.counted = now;
  CHECK(world.budget.promised >= now.promised);
}

void CountAllPools(World& world) {
  for (auto& [id, pool] : world.pools) CountPool(world, pool);
}

bool IsCounted(const World& world) {
  PoolCount all;
  size_t instances = 0;
  for (const auto& [id, pool] : world.pools) {
    const PoolCount one = CountOf(pool);
    all.promised += one.promised;
    all.base_and_wanted += one.base_and_wanted;
    instances += pool.members.size();
  }
  return all.promised == world.budget.promised &&
         all.base_and_wanted == world.budget.base_and_wanted &&
         instances == static_cast<size_t>(world.instances);
}

void SetDeleting(World& world, PoolEntry& pool, ShadowEntry& shadow, bool deleting) {
  if (shadow.record.deleting() == deleting) return;
  shadow.record.set_deleting(deleting);
  CountPool(world, pool);
}

std::optional<int> BudgetShare(World& world, PoolEntry& pool, int wanted, absl::Duration now) {
  if (Fixed(pool)) return std::nullopt;
  pool.planning.wanted = wanted;
  CountPool(world, pool);
  const int has = TargetOf(pool);
  if (world.budget.base_and_wanted <= world.instances_max &&
      world.budget.promised + wanted - has <= world.instances_max) {
    return std::nullopt;
  }
  if (world.budget.shared != now) {
    Share(world);
    world.budget.shared = now;
  }
  const auto found = world.budget.shares.find(pool.id);
  const int share = found == world.budget.shares.end() ? 0 : found->second;
  // What others are to give up is there once they have.
  return std::min(share, has + std::max(0, world.instances_max - world.budget.promised));
}

int OldServingMax(const PoolEntry& pool) {
  if (!SlotsKnown(pool)) return std::numeric_limits<int>::max();
  const SlotUse use = SlotUseOf(pool, false);
  const int next = use.waits && !use.enters ? 1 : 0;
  const int left =
      *pool.balancing.view->slots - pool.spec->pool.managed_instances() - use.held - next;
  return std::max(left, Spares(pool) ? 0 : 1);
}

bool YieldsSlot(const PoolEntry& pool, const std::string& shadow) {
  if (!SlotsKnown(pool) || !Spares(pool)) return false;
  const auto held = std::count_if(pool.members.begin(), pool.members.end(),
                                  [](const auto& entry) { return HoldsSlot(entry.second); });
  const SlotUse use = SlotUseOf(pool, shadow.empty());
  return use.waits && !use.enters && held >= *pool.balancing.view->slots;
}

void ShowLimits(const World& world, PoolEntry& pool) {
  v1::Pool& shown = *pool.record.mutable_pool();
  const int others = world.budget.promised - TargetOf(pool);
  shown.set_shadow_instances_left(std::max(0, world.instances_max - others));
  if (pool.balancing.view.has_value() && pool.balancing.view->slots.has_value()) {
    shown.set_balancer_slots(*pool.balancing.view->slots);
  }
}

}  // namespace shadow
