#include "server/core/loop/settle.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/loop/balancing/balancing.h"
#include "server/core/loop/budget_share.h"
#include "server/core/loop/checks/suspended_check.h"
#include "server/core/loop/instances.h"
#include "server/core/loop/planning.h"
#include "server/core/loop/status/conditions.h"
#include "server/core/names.h"
#include "server/core/planner.h"
#include "server/core/reconciler.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using I = v1::Instance;
using R = v1::InstanceRecord;

// The members of one group, and which of its failed ones are to be forgotten.
std::vector<MemberView> ViewGroup(const PoolEntry& pool, const std::string& shadow,
                                  const std::string& dna_revision, absl::Time now) {
  std::vector<MemberView> views;
  std::vector<std::pair<int64_t, size_t>> failed;  // Creation order, index.
  for (const auto& [id, member] : pool.members) {
    if (member.shadow != shadow) continue;
    if (views.empty()) views.reserve(pool.members.size());
    const I& instance = member.record.instance();
    // A cordoned one of another revision stays to be looked at.
    const bool replaced = instance.dna_revision() != dna_revision && !instance.cordoned() &&
                          !pool.spec->pool.rollout_paused();
    MemberView view{.id = id,
                    .state = instance.state(),
                    .want = member.record.want(),
                    .order = InstanceNumber(id),
                    .outdated = replaced || instance.restarting(),
                    .cordoned = instance.cordoned()};
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
                           .yields = YieldsSlot(pool, group.shadow) ? 1 : 0};
  Reconciliation result = Reconcile(target, views);
  if (group.instances == 0) {  // Also the failed ones go, and nobody waits for them.
    const bool deleting = pool.record.pool().state() == v1::Pool::DELETING;
    for (const MemberView& view : views) {
      if ((view.state == I::FAILED || (view.cordoned && deleting)) && view.want != R::WANT_GONE) {
        result.wants.emplace_back(view.id, R::WANT_GONE);
      }
    }
  }
  for (const auto& [id, want] : result.wants) SetWant(changes, pool, pool.members.at(id), want);
  if (result.creates == 0) return;
  const auto live = std::count_if(views.begin(), views.end(), [](const MemberView& view) {
    return view.state != I::FAILED && view.state != I::DELETING && view.want != R::WANT_GONE &&
           !view.outdated && !view.cordoned;
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

absl::Duration DueTime(const PoolEntry& pool, Instant now) {
  absl::Duration due = absl::InfiniteDuration();
  if (!pool.learning.awaits_fit) {  // Its result wakes it.
    due = std::min({pool.timers.next_activation, pool.timers.next_level,
                    now.mono + (pool.timers.next_size - now.wall)});
  }
  if (pool.spec->has_balancer && !pool.balancing.view_effect.has_value())
    due = std::min(due, pool.timers.next_view);
  due = std::min(due, NextTelling(pool));
  for (const auto& [id, member] : pool.members) due = std::min(due, DueTime(member));
  const auto consider = [&](const Backoff& backoff) {
    if (backoff.not_before > now.mono) due = std::min(due, backoff.not_before);
  };
  consider(pool.base_backoff);
  for (const auto& [id, shadow] : pool.shadows) consider(shadow.backoff);
  return due;
}

}  // namespace

bool Moving(const PoolEntry& pool) {
  return std::any_of(pool.members.begin(), pool.members.end(), [](const auto& entry) {
    return entry.second.task == InstanceTask::kJudge ||
           entry.second.task == InstanceTask::kAwaitDrained;
  });
}

bool Settle(Changes& changes, PoolEntry& pool) {
  const bool deleting = pool.record.pool().state() == v1::Pool::DELETING;
  const std::string no_shadow;
  const int base = deleting ? 0 : pool.spec->pool.managed_instances();
  const std::string& dna_revision = pool.record.pool().dna_revision();
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
  if (Member* due = BeginDueCheck(changes, pool); due != nullptr) Advance(changes, pool, *due);
  TellBalancer(changes, pool);
  if (Moving(pool)) {
    pool.timers.next_view =
        std::min(pool.timers.next_view, changes.now().mono + kViewIntervalMoving);
  }
  CountPool(changes.world(), pool);
  UpdateConditions(changes, pool);
  changes.world().SetDue(pool, DueTime(pool, changes.now()));
  return true;
}

}  // namespace shadow
