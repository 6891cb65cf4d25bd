#include "server/core/loop/budget_share.h"

#include <algorithm>
#include <vector>

#include "server/core/capacity/budget.h"

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
                    .wanted = pool.wanted,
                    .needed = pool.needed,
                    .worth = pool.capacity->Worth(pool.wanted)};
  if (claim.worth.empty()) claim.worth.assign(static_cast<size_t>(std::max(0, pool.wanted)), 1);
  return claim;
}

void Share(World& world) {
  int left = world.instances_max;
  std::vector<const std::string*> ids;
  std::vector<BudgetClaim> claims;
  for (const auto& [id, pool] : world.pools) {
    left -= pool.spec->pool.managed_instances();
    if (Fixed(pool)) {
      left -= TargetOf(pool);
    } else if (pool.wanted > 0) {
      ids.push_back(&id);
      claims.push_back(ClaimOf(pool));
    }
  }
  const std::vector<int> shares = ShareBudget(claims, left);
  world.budget.shares.clear();
  for (size_t i = 0; i < ids.size(); ++i) world.budget.shares[*ids[i]] = shares[i];
}

}  // namespace

void CountBudget(World& world) {
  world.budget = {};
  for (const auto& [id, pool] : world.pools) {
    const int base = pool.spec->pool.managed_instances();
    const int target = TargetOf(pool);
    world.budget.promised += base + target;
    world.budget.wanted += base + (Fixed(pool) ? target : pool.wanted);
  }
}

void SetDeleting(World& world, ShadowEntry& shadow, bool deleting) {
  if (shadow.record.deleting() == deleting) return;
  const int target = shadow.record.shadow().target_instances();
  world.budget.promised += deleting ? -target : target;
  shadow.record.set_deleting(deleting);
}

std::optional<int> BudgetShare(World& world, PoolEntry& pool, int wanted, absl::Duration now) {
  if (Fixed(pool)) return std::nullopt;
  world.budget.wanted += wanted - pool.wanted;
  pool.wanted = wanted;
  const int has = TargetOf(pool);
  if (world.budget.wanted <= world.instances_max &&
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

void ShowLimits(const World& world, PoolEntry& pool) {
  v1::Pool& shown = *pool.record.mutable_pool();
  const int others = world.budget.promised - TargetOf(pool);
  shown.set_shadow_instances_left(std::max(0, world.instances_max - others));
  if (pool.view.has_value() && pool.view->slots.has_value()) {
    shown.set_balancer_slots(*pool.view->slots);
  }
}

}  // namespace shadow
