#include "server/core/loop/balancing/balancing.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/canary.h"
#include "server/core/check.h"
#include "server/core/loop/instances.h"
#include "server/core/loop/results.h"

namespace shadow {
namespace {

using I = v1::Instance;
using E = InstanceEvent;
using T = InstanceTask;

// The balancer's part in `member` now. Unset: it must not know the member.
std::optional<Assignment> AssignmentOf(const PoolEntry& pool, const Member& member) {
  if (!member.record.balanced() || member.task == T::kRemove) return std::nullopt;
  const I& instance = member.record.instance();
  Assignment assignment{.id = member.id, .address = instance.address()};
  if (instance.state() == I::ACTIVE) {
    assignment.weight_percent = 100;
  } else if (member.task == T::kAdd || member.task == T::kJudge) {
    assignment.weight_percent = pool.spec->pool.policy().canary().weight_percent();
  } else {
    // Also one that is woken again after a crash: what it had in flight goes on.
    assignment.draining = true;
  }
  return assignment;
}

void OnServing(Changes& changes, PoolEntry& pool, Member& member, const BalancerMember* seen) {
  if (seen == nullptr || seen->draining || seen->weight_percent != 100) {
    Apply(changes, pool, member, E::kLost);
    return;
  }
  if (seen->healthy) {
    member.unhealthy_since.reset();
    return;
  }
  if (!member.unhealthy_since.has_value()) member.unhealthy_since = changes.now().mono;
  if (changes.now().mono - *member.unhealthy_since >= kUnhealthyTimeout) {
    Apply(changes, pool, member, E::kFailed,
          absl::StrCat("the balancer's health check has failed for ",
                       absl::FormatDuration(kUnhealthyTimeout)));
  }
}

void OnCanary(Changes& changes, PoolEntry& pool, Member& member, const BalancerMember* seen,
              const std::vector<double>& peers) {
  if (seen == nullptr || seen->draining) {
    Apply(changes, pool, member, E::kLost);
    return;
  }
  const CanaryStats stats{.requests = seen->requests,
                          .in_flight = seen->in_flight,
                          .errors = seen->errors,
                          .response_time_ms = seen->response_time_ms,
                          .healthy = seen->healthy};
  const CanaryJudgement judgement =
      JudgeCanary(*pool.spec, stats, peers, changes.now().mono - member.task_since);
  if (judgement.verdict == CanaryVerdict::kPass) Apply(changes, pool, member, E::kCanaryPassed);
  if (judgement.verdict == CanaryVerdict::kFail) {
    Apply(changes, pool, member, E::kFailed, judgement.reason);
  }
}

// Response times of those that serve.
std::vector<double> PeersOf(const PoolEntry& pool,
                            const std::map<std::string, const BalancerMember*>& seen) {
  std::vector<double> peers;
  for (const auto& [id, member] : pool.members) {
    const auto found = seen.find(id);
    if (member.record.instance().state() == I::ACTIVE && found != seen.end() &&
        found->second->response_time_ms.has_value()) {
      peers.push_back(*found->second->response_time_ms);
    }
  }
  return peers;
}

bool KnowsStrangers(const PoolEntry& pool) {
  return std::any_of(pool.balancing.view->members.begin(), pool.balancing.view->members.end(),
                     [&](const BalancerMember& seen) {
                       const auto member = pool.members.find(seen.id);
                       return member == pool.members.end() ||
                              !AssignmentOf(pool, member->second).has_value();
                     });
}

// The status of each member that waited for this answer. Unset: the answer is malformed.
std::optional<absl::Status> StatusOf(const PoolEntry& pool, const Member& member,
                                     const EffectResult& result) {
  if (!result.status.ok()) return result.status;
  const std::vector<absl::Status>& assigned = result.assigned.assigned;
  if (assigned.size() != pool.balancing.assigning.size()) return std::nullopt;
  const auto named =
      std::find(pool.balancing.assigning.begin(), pool.balancing.assigning.end(), member.id);
  if (named != pool.balancing.assigning.end()) {
    return assigned[static_cast<size_t>(named - pool.balancing.assigning.begin())];
  }
  const auto left = result.assigned.left.find(member.record.instance().address());
  return left == result.assigned.left.end() ? absl::OkStatus() : left->second;
}

// Not while a call for a task that it has left is under way: one at a time. That result comes
// first.
bool CanBeTold(const Member& member) {
  return AwaitsBalancer(member) && !member.effect.has_value();
}

}  // namespace

bool AwaitsBalancer(const Member& member) {
  return RowOf(member.task).effect == EffectKind::kAssign;
}

absl::Duration NextTelling(const PoolEntry& pool) {
  absl::Duration next = absl::InfiniteDuration();
  if (!pool.spec->has_balancer || pool.balancing.assign_effect.has_value()) return next;
  if (pool.balancing.assign_due) next = pool.timers.next_assign;
  for (const auto& [id, member] : pool.members) {
    if (CanBeTold(member)) next = std::min(next, member.not_before);
  }
  return next;
}

void TellBalancer(Changes& changes, PoolEntry& pool) {
  const absl::Duration now = changes.now().mono;
  if (NextTelling(pool) > now) return;
  Effect effect;
  effect.kind = Effect::Kind::kAssign;
  effect.pool = pool.spec;
  pool.balancing.assigning.clear();
  for (const auto& [id, member] : pool.members) {
    std::optional<Assignment> assignment = AssignmentOf(pool, member);
    if (!assignment.has_value()) continue;
    pool.balancing.assigning.push_back(id);
    effect.assignments.push_back(*std::move(assignment));
  }
  const uint64_t told = changes.Run(std::move(effect));
  pool.balancing.assign_effect = told;
  pool.balancing.assign_due = false;
  for (auto& [id, member] : pool.members) {
    if (!CanBeTold(member) || member.not_before > now) continue;
    member.effect = told;
    member.effect_stale = false;
  }
}

void TellAtStart(Changes& changes, PoolEntry& pool) {
  if (!pool.spec->has_balancer || pool.members.empty() || pool.balancing.assigned ||
      pool.balancing.assign_due || pool.balancing.assign_effect.has_value()) {
    return;
  }
  pool.balancing.assign_due = true;
  changes.world().SetDue(pool, changes.now().mono);
}

void OnAssigned(Changes& changes, PoolEntry& pool, const EffectResult& result) {
  if (pool.balancing.assign_effect != result.id)
    return;  // Of a namesake, or a balancer that it had.
  pool.balancing.assign_effect.reset();
  if (result.status.ok()) {
    pool.balancing.assigned = true;
  } else {
    pool.balancing.assign_due = true;
    pool.timers.next_assign = changes.now().mono + kTellAgain;
  }
  std::vector<Member*> waited;
  for (auto& [id, member] : pool.members) {
    if (member.effect != result.id) continue;
    member.effect.reset();
    if (!std::exchange(member.effect_stale, false)) waited.push_back(&member);
  }
  for (Member* member : waited) {
    CHECK(AwaitsBalancer(*member));
    const std::optional<absl::Status> status = StatusOf(pool, *member, result);
    OnTaskResult(changes, pool, *member,
                 status.value_or(absl::InternalError("the balancer's answer is incomplete")));
  }
}

void OnBalancerView(Changes& changes, PoolEntry& pool, absl::Duration asked,
                    const EffectResult& result) {
  pool.balancing.view_read = result.status;
  if (!result.status.ok()) {
    pool.balancing.view.reset();  // Unknown: nobody is judged on old numbers.
    return;
  }
  pool.balancing.view = result.balancer;
  pool.balancing.view_counted = false;
  if (!pool.balancing.assigned) return;  // It does not know the ids of its members yet.
  std::map<std::string, const BalancerMember*> seen;
  for (const BalancerMember& member : pool.balancing.view->members) seen[member.id] = &member;
  const std::vector<double> peers = PeersOf(pool, seen);
  for (auto& [id, member] : pool.members) {
    if (!member.record.balanced() || !Settled(member, asked)) continue;
    const auto found = seen.find(id);
    const BalancerMember* at = found == seen.end() ? nullptr : found->second;
    const I::State state = member.record.instance().state();
    if (state == I::ACTIVE) OnServing(changes, pool, member, at);
    if (state == I::WARMING && member.task == T::kJudge) {
      OnCanary(changes, pool, member, at, peers);
    }
    if (state == I::DRAINING && member.task == T::kAwaitDrained &&
        (at == nullptr || at->in_flight == 0)) {
      Apply(changes, pool, member, E::kDrained);
    }
  }
  if (!pool.balancing.assign_effect.has_value() && KnowsStrangers(pool))
    pool.balancing.assign_due = true;
}

void ForgetBalancer(PoolEntry& pool, absl::Duration now) {
  pool.balancing.view_effect.reset();
  pool.balancing.view.reset();
  pool.balancing.view_read = absl::OkStatus();
  pool.timers.next_view = now;
  pool.balancing.assign_effect.reset();
  pool.balancing.assigned = false;
}

}  // namespace shadow
