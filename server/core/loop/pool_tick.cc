#include "server/core/loop/pool_tick.h"

#include <algorithm>
#include <utility>

#include "server/core/loop/budget_share.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/learning/backfill.h"
#include "server/core/loop/learning/fits.h"
#include "server/core/loop/planning.h"
#include "server/core/loop/pool_work.h"
#include "server/core/loop/settle.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

void LookAtBalancer(Changes& changes, PoolEntry& pool) {
  const bool moving = Moving(pool);
  const absl::Duration now = changes.now().mono;
  if (!pool.spec->has_balancer || pool.balancing.view_effect.has_value() ||
      now < pool.timers.next_view)
    return;
  Effect effect;
  effect.kind = Effect::Kind::kViewBalancer;
  effect.pool = pool.spec;
  pool.balancing.view_effect = changes.Run(std::move(effect));
  pool.timers.next_view =
      now +
      (moving ? kViewIntervalMoving : std::max(kViewIntervalMin, pool.spec->activation_interval));
}

void ExpireHolds(Changes& changes, PoolEntry& pool) {
  const absl::Time now = changes.now().wall;
  v1::Pool& proto = *pool.record.mutable_pool();
  if (proto.has_hold_until_time() && FromProto(proto.hold_until_time()) <= now) {
    proto.clear_hold_until_time();
    changes.Put(pool, v1::Event::UPDATED, "hold expired");
  }
  for (auto& [id, shadow] : pool.shadows) {
    v1::ShadowPool& held = *shadow.record.mutable_shadow();
    if (!held.has_hold_until_time() || FromProto(held.hold_until_time()) > now) continue;
    held.clear_hold_until_time();
    changes.Put(pool, shadow, v1::Event::UPDATED, "hold expired");
  }
}

void TickActivation(Changes& changes, PoolEntry& pool) {
  const absl::Duration interval = pool.spec->activation_interval;
  const Instant& now = changes.now();
  // On the wall clock: a restart does not shift them.
  pool.timers.next_activation = now.mono + (StepStart(now.wall, interval) + interval - now.wall);
  ExpireHolds(changes, pool);
  if (!pool.spec->polls_usage) {
    pool.timers.next_level = now.mono;
  } else if (!pool.demand.usage_effect.has_value()) {  // Its result has the level decided.
    Effect effect;
    effect.kind = Effect::Kind::kReadUsage;
    effect.pool = pool.spec;
    effect.since = pool.demand.last_sample;
    pool.demand.usage_effect = changes.Run(std::move(effect));
  }
}

void TickLevel(Changes& changes, PoolEntry& pool) {
  const absl::Duration now = changes.now().mono;
  const bool interval_ends = now >= pool.timers.next_activation;
  if (interval_ends) TickActivation(changes, pool);
  if (now < pool.timers.next_level) return;
  pool.timers.next_level = absl::InfiniteDuration();
  if (!interval_ends) pool.timers.next_soon = pool.timers.next_activation;
  DecideAndAct(changes, pool, v1::Decision::LEVEL);
}

void NoteSized(PoolEntry& pool, absl::Time now) {
  v1::PlannerState& planner = *pool.record.mutable_planner();
  *planner.mutable_size_time() = ToProto(now);
  const absl::Time last = pool.forecaster->LastStep();
  if (last != absl::InfinitePast()) *planner.mutable_size_step() = ToProto(last);
}

// After PlanEndedSteps.
void TickStep(Changes& changes, PoolEntry& pool) {
  const Instant& now = changes.now();
  pool.timers.next_size = StepStart(now.wall, pool.spec->step) + pool.spec->step;
  ShowLimits(changes.world(), pool);
  DecideAndAct(changes, pool, v1::Decision::SIZE);
  NoteSized(pool, now.wall);
  changes.Keep(pool);  // What the planner remembers.
  if (now.mono < pool.timers.next_save || changes.world().room.seen.low) return;
  pool.timers.next_save = now.mono + changes.world().save_interval;
  QueueSave(changes.world(), pool);
}

void DecideWhatIsDue(Changes& changes, PoolEntry& pool) {
  // Sizes first: a level is decided by what comes after the step that is over.
  if (StepIsOver(pool, changes.now().wall)) TickStep(changes, pool);
  QueueFit(changes.world(), pool);
  BeginLearning(changes, pool);
  TickLevel(changes, pool);
  pool.planning.outlook.reset();
  pool.planning.size_decision.reset();
}

}  // namespace

void TickPool(Changes& changes, PoolEntry& pool) {
  if (pool.record.pool().state() != v1::Pool::DELETING) {
    if (!pool.learning.awaits_fit) DecideWhatIsDue(changes, pool);
  } else {
    pool.learning.awaits_fit = false;
    pool.timers.next_activation = absl::InfiniteDuration();
    pool.timers.next_level = absl::InfiniteDuration();
    pool.timers.next_size = absl::InfiniteFuture();
  }
  LookAtBalancer(changes, pool);
  Settle(changes, pool);
}

}  // namespace shadow
