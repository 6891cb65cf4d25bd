#include "server/core/loop/settle.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/leads/pool_leads.h"
#include "server/core/loop/budget_share.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/instances.h"
#include "server/core/loop/learning/backfill.h"
#include "server/core/loop/learning/fits.h"
#include "server/core/loop/planning.h"
#include "server/core/loop/pool_work.h"
#include "server/core/loop/scoring.h"
#include "server/core/planner.h"
#include "server/core/reconciler.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using I = v1::Instance;
using R = v1::InstanceRecord;

bool HasPolledUsage(const PoolEntry& pool) {
  return std::any_of(pool.spec->pool.usage_sources().begin(), pool.spec->pool.usage_sources().end(),
                     [](const v1::UsageSource& source) { return source.has_haproxy(); });
}

// The members of one group, and which of its failed ones are to be forgotten.
std::vector<MemberView> ViewGroup(const PoolEntry& pool, const std::string& shadow,
                                  const std::string& dna_revision, absl::Time now) {
  std::vector<MemberView> views;
  std::vector<std::pair<int64_t, size_t>> failed;  // Creation order, index.
  for (const auto& [id, member] : pool.members) {
    if (member.shadow != shadow) continue;
    const I& instance = member.record.instance();
    MemberView view{.id = id,
                    .state = instance.state(),
                    .want = member.record.want(),
                    .order = std::stoll(id.substr(1)),
                    .outdated = instance.dna_revision() != dna_revision};
    if (view.state == I::FAILED && member.task == InstanceTask::kNone) {
      view.expired = now - FromProto(instance.state_time()) > kFailedRetention;
      failed.emplace_back(view.order, views.size());
    }
    views.push_back(std::move(view));
  }
  std::sort(failed.rbegin(), failed.rend());
  for (size_t i = kFailedKept; i < failed.size(); ++i) views[failed[i].second].expired = true;
  return views;
}

int CreatesMax(const World& world, const v1::Policy& policy, const Backoff& backoff,
               const std::vector<MemberView>& views, absl::Duration now) {
  if (now < backoff.not_before) return 0;
  const auto creating = std::count_if(views.begin(), views.end(), [](const MemberView& view) {
    return view.state == I::CREATING || view.state == I::VERIFYING;
  });
  const int at_once = backoff.one_at_a_time ? 1 : policy.max_concurrent_creations();
  return std::min(at_once - static_cast<int>(creating), world.instances_max - world.instances);
}

struct Group {
  const std::string& shadow;  // Short; empty: the base.
  const std::string& dna_revision;
  int instances;
  int active;
  Backoff& backoff;
};

void SettleGroup(Changes& changes, PoolEntry& pool, const Group& group) {
  const std::vector<MemberView> views =
      ViewGroup(pool, group.shadow, group.dna_revision, changes.now().wall);
  const GroupTarget target{.instances = group.instances,
                           .active = group.active,
                           .creates_max = CreatesMax(changes.world(), pool.spec->pool.policy(),
                                                     group.backoff, views, changes.now().mono),
                           .yields = group.shadow.empty() && BaseYieldsSlot(pool) ? 1 : 0};
  Reconciliation result = Reconcile(target, views);
  if (group.instances == 0) {  // Also the failed ones go, and nobody waits for them.
    for (const MemberView& view : views) {
      if (view.state == I::FAILED && view.want != R::WANT_GONE) {
        result.wants.emplace_back(view.id, R::WANT_GONE);
      }
    }
  }
  for (const auto& [id, want] : result.wants) SetWant(changes, pool, pool.members.at(id), want);
  if (result.creates == 0) return;
  const auto live = std::count_if(views.begin(), views.end(), [](const MemberView& view) {
    return view.state != I::FAILED && view.state != I::DELETING && view.want != R::WANT_GONE &&
           !view.outdated;
  });
  for (int i = 0; i < result.creates; ++i) {
    CreateMember(changes, pool, group.shadow, static_cast<int>(live) + i < group.active);
  }
}

void SettleShadows(Changes& changes, PoolEntry& pool) {
  for (auto shadow = pool.shadows.begin(); shadow != pool.shadows.end();) {
    const bool deleting = shadow->second.record.deleting();
    const v1::ShadowPool& proto = shadow->second.record.shadow();
    SettleGroup(
        changes, pool,
        {.shadow = shadow->first,
         .dna_revision = proto.dna_revision(),
         .instances = deleting ? 0 : proto.target_instances(),
         .active =
             deleting ? 0 : ActiveCount(proto.target_instances(), proto.target_activation_level()),
         .backoff = shadow->second.backoff});
    const bool empty =
        std::none_of(pool.members.begin(), pool.members.end(),
                     [&](const auto& member) { return member.second.shadow == shadow->first; });
    if (deleting && empty) {
      changes.Erase(pool, shadow->second);
      shadow = pool.shadows.erase(shadow);
    } else {
      ++shadow;
    }
  }
}

bool Moving(const PoolEntry& pool) {
  return std::any_of(pool.members.begin(), pool.members.end(), [](const auto& entry) {
    return entry.second.task == InstanceTask::kJudge ||
           entry.second.task == InstanceTask::kAwaitDrained;
  });
}

bool Balanced(const PoolEntry& pool) { return pool.spec->pool.balancer().has_haproxy(); }

absl::Duration DueTime(const PoolEntry& pool, Instant now) {
  absl::Duration due = absl::InfiniteDuration();
  if (!pool.awaits_fit) {  // Its result wakes it.
    due = std::min(pool.next_activation, now.mono + (pool.next_size - now.wall));
  }
  if (Balanced(pool) && !pool.view_effect.has_value()) due = std::min(due, pool.next_view);
  for (const auto& [id, member] : pool.members) due = std::min(due, DueTime(member));
  const auto consider = [&](const Backoff& backoff) {
    if (backoff.not_before > now.mono) due = std::min(due, backoff.not_before);
  };
  consider(pool.base_backoff);
  for (const auto& [id, shadow] : pool.shadows) consider(shadow.backoff);
  return due;
}

void LookAtBalancer(Changes& changes, PoolEntry& pool) {
  const bool moving = Moving(pool);
  const absl::Duration now = changes.now().mono;
  if (!Balanced(pool) || pool.view_effect.has_value() || now < pool.next_view) return;
  Effect effect;
  effect.kind = Effect::Kind::kListBalancer;
  effect.pool = pool.spec;
  pool.view_effect = changes.Run(std::move(effect));
  pool.next_view = now + (moving ? kViewIntervalMoving
                                 : std::max(kViewIntervalMin, pool.spec->activation_interval));
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
  pool.next_activation = now.mono + (StepStart(now.wall, interval) + interval - now.wall);
  ExpireHolds(changes, pool);
  if (!HasPolledUsage(pool)) {
    DecideAndAct(changes, pool, v1::Decision::LEVEL);
  } else if (!pool.usage_effect.has_value()) {  // Its result decides the level.
    Effect effect;
    effect.kind = Effect::Kind::kReadUsage;
    effect.pool = pool.spec;
    effect.since = pool.last_sample;
    pool.usage_effect = changes.Run(std::move(effect));
  }
}

// In [0, 1): spreads what all pools would else do at the same tick.
double PhaseOf(const std::string& id) {
  unsigned sum = 0;
  for (const char c : id) sum = sum * 31 + static_cast<unsigned char>(c);
  return sum % 1024 / 1024.0;
}

void NoteSized(PoolEntry& pool, absl::Time now) {
  v1::PlannerState& planner = *pool.record.mutable_planner();
  *planner.mutable_size_time() = ToProto(now);
  const absl::Time last = pool.forecaster->LastStep();
  if (last != absl::InfinitePast()) *planner.mutable_size_step() = ToProto(last);
}

// Whether the last SIZE decision went by what is known now.
bool Sized(const PoolEntry& pool, absl::Time now) {
  const v1::PlannerState& planner = pool.record.planner();
  const absl::Duration step = pool.spec->step;
  const absl::Time known =
      planner.has_size_step() ? FromProto(planner.size_step()) : absl::InfinitePast();
  return planner.has_size_time() && pool.forecaster->LastStep() == known &&
         StepStart(FromProto(planner.size_time()), step) == StepStart(now, step);
}

// After PlanEndedSteps.
void TickStep(Changes& changes, PoolEntry& pool) {
  const Instant& now = changes.now();
  pool.next_size = StepStart(now.wall, pool.spec->step) + pool.spec->step;
  ShowLeads(pool, *pool.record.mutable_pool());
  ShowLimits(changes.world(), pool);
  DecideAndAct(changes, pool, v1::Decision::SIZE);
  NoteSized(pool, now.wall);
  changes.Keep(pool);  // What the planner remembers.
  if (now.mono < pool.next_save) return;
  pool.next_save = now.mono + changes.world().save_interval;
  QueueSave(changes.world(), pool);
}

void DecideWhatIsDue(Changes& changes, PoolEntry& pool) {
  // Sizes first: a level is decided by what comes after the step that is over.
  if (StepIsOver(pool, changes.now().wall)) TickStep(changes, pool);
  QueueFit(changes.world(), pool);
  BeginLearning(changes, pool);
  if (std::exchange(pool.level_put_off, false)) DecideAndAct(changes, pool, v1::Decision::LEVEL);
  if (changes.now().mono >= pool.next_activation) TickActivation(changes, pool);
  pool.outlook.reset();
}

}  // namespace

void OpenForecasts(PoolEntry& pool) {
  const std::string saved = pool.forecaster == nullptr ? "" : pool.forecaster->Save();
  pool.forecaster = MakeForecaster({.step = pool.spec->step,
                                    .season_lengths = pool.spec->season_lengths,
                                    .time_zone = pool.spec->time_zone,
                                    .events = pool.spec->demand_events,
                                    .fit_phase = PhaseOf(pool.id)});
  if (!saved.empty()) pool.forecaster->Restore(saved).IgnoreError();  // Its own: never fails.
  const std::string plan = pool.capacity == nullptr ? "" : pool.capacity->Save();
  pool.capacity = std::make_unique<PoolCapacity>(
      PoolCapacity::Options{.step = pool.spec->step,
                            .day = pool.spec->season_lengths.front(),
                            .base_capacity = pool.spec->base_capacity_per_spec,
                            .instance_capacity = pool.spec->pool.instance_capacity(),
                            .headroom = pool.spec->pool.policy().headroom(),
                            .target = pool.spec->capacity_target},
      ProvisioningLead(pool) + ActivationLead(pool));
  if (!plan.empty()) pool.capacity->Restore(plan).IgnoreError();  // The same.
}

void OpenPool(World& world, PoolEntry& pool, Instant now) {
  OpenForecasts(pool);
  pool.next_activation = now.mono;
  pool.next_size = StepStart(now.wall, pool.spec->step) + pool.spec->step;
  pool.next_view = now.mono;
  pool.next_save = now.mono + kFirstSave * (1 + PhaseOf(pool.id));
  world.SetDue(pool, now.mono);
  ScheduleScore(pool, now);
}

void ResumePool(Changes& changes, PoolEntry& pool) {
  const absl::Time now = changes.now().wall;
  BeginLearning(changes, pool);
  if (!Sized(pool, now)) pool.next_size = now;
  v1::PlannerState& planner = *pool.record.mutable_planner();
  if (!planner.has_size_time()) return;
  // It wrote every step, so it lived no longer than one more; then it was ticks up to the last.
  const absl::Time lived = FromProto(planner.size_time()) + pool.spec->step;
  ResumeWants(planner, std::min(DecisionTick(pool, now - absl::Nanoseconds(1)), lived));
}

void TickPool(Changes& changes, PoolEntry& pool) {
  if (pool.record.pool().state() != v1::Pool::DELETING) {
    if (!pool.awaits_fit) DecideWhatIsDue(changes, pool);
  } else {
    pool.awaits_fit = false;
    pool.next_activation = absl::InfiniteDuration();
    pool.next_size = absl::InfiniteFuture();
  }
  LookAtBalancer(changes, pool);
  Settle(changes, pool);
}

bool Settle(Changes& changes, PoolEntry& pool) {
  const bool deleting = pool.record.pool().state() == v1::Pool::DELETING;
  const std::string no_shadow;
  const int base = deleting ? 0 : pool.spec->pool.managed_instances();
  const std::string dna_revision = pool.record.pool().dna_revision();
  // What a member leaves behind when it is forgotten is settled at once; each round forgets some.
  bool forgot = true;
  while (forgot) {
    SettleGroup(changes, pool,
                {.shadow = no_shadow,
                 .dna_revision = dna_revision,
                 .instances = base,
                 .active = base,
                 .backoff = pool.base_backoff});
    SettleShadows(changes, pool);
    forgot = false;
    for (auto member = pool.members.begin(); member != pool.members.end();) {
      Member& entry = (member++)->second;  // Advance may erase it.
      forgot |= !Advance(changes, pool, entry);
    }
  }
  if (deleting && pool.members.empty() && pool.shadows.empty()) {
    changes.Erase(pool);
    changes.world().ErasePool(pool);
    return false;
  }
  if (Moving(pool)) {
    pool.next_view = std::min(pool.next_view, changes.now().mono + kViewIntervalMoving);
  }
  changes.world().SetDue(pool, DueTime(pool, changes.now()));
  return true;
}

}  // namespace shadow
