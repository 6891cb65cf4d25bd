#include "server/core/loop/invariants/pool_invariants.h"

#include "server/core/check.h"
#include "server/core/loop/budget_share.h"
#include "server/core/loop/learning/fits.h"

namespace shadow {
namespace {

using I = v1::Instance;

struct StateCounts {
  int serving = 0;
  int suspended = 0;
  int failed = 0;
  bool operator==(const StateCounts&) const = default;
};

// `shadow`: short; empty: the base.
StateCounts CountStates(const PoolEntry& pool, const std::string& shadow) {
  StateCounts counts;
  for (const auto& [id, member] : pool.members) {
    if (member.shadow != shadow || member.record.instance().cordoned()) continue;
    const I::State state = member.record.instance().state();
    counts.serving += state == I::ACTIVE;
    counts.suspended += Rests(member);
    counts.failed += state == I::FAILED;
  }
  return counts;
}

// As one that is checked is.
bool IsChecked(const Member& member) {
  const I::State state = member.record.instance().state();
  return !member.record.balanced() && member.record.want() == v1::InstanceRecord::WANT_SUSPENDED &&
         (state == I::RESUMING || state == I::WARMING || state == I::SUSPENDING);
}

void CheckMember(const PoolEntry& pool, const Member& member) {
  CHECK(member.shadow.empty() || pool.shadows.contains(member.shadow));
  CHECK(TaskFits(member.record.instance().state(), member.task));
  CHECK(!member.record.checking() || IsChecked(member));
  CHECK(member.record.want() != v1::InstanceRecord::WANT_CORDONED ||
        member.record.instance().cordoned());
  CHECK(member.effect.has_value() || !member.effect_stale);
  CHECK(!member.effect.has_value() || member.effect_stale || RowOf(member.task).effect.has_value());
}

void CheckShadow(const PoolEntry& pool, const std::string& id, const ShadowEntry& shadow) {
  const v1::ShadowPool& shown = shadow.record.shadow();
  CHECK(shown.target_instances() >= 0);
  CHECK(shown.target_activation_level() >= 0 && shown.target_activation_level() <= 100);
  if (pool.members.empty()) return;  // A start has not counted what it loaded.
  CHECK(CountStates(pool, id) == (StateCounts{.serving = shown.serving_instances(),
                                              .suspended = shown.suspended_instances(),
                                              .failed = shown.failed_instances()}));
}

}  // namespace

void CheckPool(const World& world, const PoolEntry& pool) {
  CHECK(pool.planning.counted == CountOf(pool));
  const auto due = world.due.find({pool.timers.due, pool.id});
  CHECK(due != world.due.end() && due->second == &pool);
  CHECK(pool.spec->pool.name() == pool.record.pool().name());
  // Of the step that has ended, for the decisions at its end alone.
  CHECK(!pool.planning.outlook.has_value() && !pool.planning.size_decision.has_value());
  CHECK(!pool.learning.fit_queued.has_value() || !pool.learning.fit_effect.has_value());
  CHECK(!pool.learning.fit_queued.has_value() ||
        world.fits.waiting.contains({*pool.learning.fit_queued, pool.id}));
  CHECK(world.fits.in_flight <= kFitsInFlightMax);
  CHECK(pool.spec->polls_usage || !pool.demand.usage_effect.has_value());
  CHECK(pool.spec->has_balancer ||
        (!pool.balancing.view_effect.has_value() && !pool.balancing.assign_effect.has_value()));
  CHECK(static_cast<size_t>(world.instances) >= pool.members.size());
  for (const auto& [id, member] : pool.members) CheckMember(pool, member);
  for (const auto& [id, shadow] : pool.shadows) CheckShadow(pool, id, shadow);
  CHECK(pool.members.empty() ||
        CountStates(pool, "").serving == pool.record.pool().serving_base_instances());
}

void CheckNextPool(const World& world, std::string& last) {
  if (world.pools.empty()) return;
  auto next = world.pools.upper_bound(last);
  if (next == world.pools.end()) next = world.pools.begin();
  last = next->first;
  CheckPool(world, next->second);
}

}  // namespace shadow
