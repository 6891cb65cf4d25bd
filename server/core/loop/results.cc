#include "server/core/loop/results.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/canary.h"
#include "server/core/check.h"
#include "server/core/loop/instances.h"
#include "server/core/loop/status/conditions.h"
#include "server/core/names.h"
#include "server/core/verify.h"

namespace shadow {
namespace {

using I = v1::Instance;
using E = InstanceEvent;
using T = InstanceTask;

std::string Text(T task, const absl::Status& status) {
  return absl::StrCat(std::string(RowOf(task).name), ": ", status.message());
}

// The world may be better in a moment: not the instance's fault.
bool Passing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsAborted(status) || absl::IsInternal(status) || absl::IsUnknown(status);
}

bool Dead(const Observation& observation) {
  return observation.life == Life::kExited || observation.life == Life::kAbsent;
}

std::string DeathReason(const Observation& observation) {
  return observation.exit_reason.empty() ? std::string("it is gone") : observation.exit_reason;
}

void OnReadyResult(Changes& changes, PoolEntry& pool, Member& member, const EffectResult& result) {
  if (result.observation.has_value()) {
    I& instance = *member.record.mutable_instance();
    instance.set_address(result.observation->address);
    instance.set_handle(result.observation->handle);
    if (Dead(*result.observation)) {
      Apply(changes, pool, member, E::kFailed, DeathReason(*result.observation));
      return;
    }
  }
  if (result.ready) {
    Apply(changes, pool, member, E::kReady);
  } else {
    if (!result.not_ready.empty()) member.not_ready = result.not_ready;
    member.not_before = changes.now().mono + member.dna->ready_interval;
  }
}

void OnVerifyResult(Changes& changes, PoolEntry& pool, Member& member, const EffectResult& result) {
  if (!result.status.ok() || !result.observation.has_value()) {
    RetryLater(changes, pool, member, "");
    return;
  }
  if (Dead(*result.observation)) {
    Apply(changes, pool, member, E::kFailed, DeathReason(*result.observation));
  } else if (!result.observation->facts.has_value()) {
    member.not_before = changes.now().mono + kPollInterval;
  } else {
    const std::vector<std::string> differences =
        Differences(*member.dna, *result.observation->facts);
    if (differences.empty()) {
      Apply(changes, pool, member, E::kVerified);
    } else {
      Apply(changes, pool, member, E::kFailed,
            absl::StrCat("differs from its DNA: ", absl::StrJoin(differences, "; ")));
    }
  }
}

void OnDestroyResult(Changes& changes, PoolEntry& pool, Member& member,
                     const EffectResult& result) {
  if (result.status.ok() && result.observation.has_value() &&
      result.observation->life == Life::kAbsent) {
    Apply(changes, pool, member, E::kDestroyed, member.record.instance().reason());
  } else if (result.status.ok()) {
    member.not_before = changes.now().mono + kPollInterval;
  } else {
    RetryLater(changes, pool, member, "");
  }
}

// Create, Suspend, Resume, WarmUp and the balancer's verbs: `done` on success.
void OnVerbResult(Changes& changes, PoolEntry& pool, Member& member, const EffectResult& result,
                  E done) {
  const T task = member.task;
  const bool at_balancer = task == T::kAdd || task == T::kCanaryWeight || task == T::kFullWeight ||
                           task == T::kDrain || task == T::kRemove;
  if (result.status.ok()) {
    Apply(changes, pool, member, done);
  } else if (at_balancer && absl::IsNotFound(result.status)) {
    Apply(changes, pool, member, E::kLost);
  } else if (at_balancer || absl::IsAborted(result.status) ||  // It has not begun.
             (Passing(result.status) && task != T::kWarmUp)) {
    RetryLater(changes, pool, member, Text(task, result.status));
  } else {
    Apply(changes, pool, member, E::kFailed, Text(task, result.status));
  }
}

// Whether what was seen then can be held against what the member is now.
bool Settled(const Member& member, absl::Duration asked) {
  if (member.task_since > asked) return false;
  // A warm-up changes no life, and goes on until its timeout where an instance has ended.
  if (member.task == T::kWarmUp) return true;
  return !member.effect.has_value() &&
         (member.task == T::kNone || member.task == T::kJudge || member.task == T::kAwaitDrained);
}

void CheckLife(Changes& changes, PoolEntry& pool, Member& member, const Observation* seen) {
  const I::State state = member.record.instance().state();
  if (state == I::FAILED || state == I::DELETING || state == I::CREATING) return;
  if (seen == nullptr || Dead(*seen)) {
    Apply(changes, pool, member, E::kFailed,
          seen == nullptr ? std::string("it is gone") : DeathReason(*seen));
  } else if (state == I::SUSPENDED && seen->life == Life::kRunning) {
    Apply(changes, pool, member, E::kRunning);
  }
}

void OnOrphan(Changes& changes, const std::string& provider, ProviderEntry& entry,
              std::map<std::string, int>& orphans, const std::string& id) {
  if (InstanceNumber(id) > changes.world().revision && entry.ahead.insert(id).second) {
    changes.Note(v1::Event::UPDATED, absl::StrCat("instances/", id),
                 "newer than the store, which has lost its record: it is left alone",
                 LogLevel::kWarning);
  }
  if (entry.ahead.contains(id)) return;
  const int seen = entry.orphans[id] + 1;
  orphans[id] = seen;
  if (seen < kStrangerViews || !entry.ending.insert(id).second) return;
  Effect effect;
  effect.kind = Effect::Kind::kKill;
  effect.provider = provider;
  effect.instance.id = id;
  changes.Run(std::move(effect));
  if (seen == kStrangerViews) {
    changes.Note(v1::Event::DELETED, absl::StrCat("instances/", id),
                 "an instance without a record is destroyed", LogLevel::kWarning);
  }
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

void RemoveStrangers(Changes& changes, PoolEntry& pool, const std::set<std::string>& known) {
  std::map<std::string, int> strangers;
  for (const BalancerMember& seen : pool.view->members) {
    if (known.contains(seen.address)) continue;
    const int views = pool.strangers[seen.address] + 1;
    strangers[seen.address] = views;
    if (views < kStrangerViews) continue;
    Effect effect;
    effect.kind = Effect::Kind::kRemove;
    effect.pool = pool.spec;
    effect.address = seen.address;
    changes.Run(std::move(effect));
  }
  pool.strangers = std::move(strangers);
}

}  // namespace

void OnInstanceResult(Changes& changes, PoolEntry& pool, Member& member,
                      const EffectResult& result) {
  CHECK(member.effect == result.id);
  member.effect.reset();
  if (std::exchange(member.effect_stale, false)) return;
  CHECK(RowOf(member.task).effect.has_value());
  if (member.task == T::kAwaitReady) return OnReadyResult(changes, pool, member, result);
  if (member.task == T::kVerify) return OnVerifyResult(changes, pool, member, result);
  if (member.task == T::kDestroy) return OnDestroyResult(changes, pool, member, result);
  if (const std::optional<E> done = RowOf(member.task).done; done.has_value()) {
    OnVerbResult(changes, pool, member, result, *done);
  }
}

void OnInstanceList(Changes& changes, const std::string& provider, absl::Duration asked,
                    const EffectResult& result) {
  ProviderEntry& entry = changes.world().providers.at(provider);
  NoteProviderList(changes, provider, result.status);
  if (!result.status.ok()) return;  // Never act on an incomplete list.
  std::map<std::string, const Observation*> seen;
  for (const Observation& observation : result.instances) {
    if (IsId(observation.id)) seen[observation.id] = &observation;  // Ours are.
  }
  for (auto& [pool_id, pool] : changes.world().pools) {
    for (auto& [id, member] : pool.members) {
      const auto found = seen.find(id);
      const Observation* observation = found == seen.end() ? nullptr : found->second;
      if (found != seen.end()) seen.erase(found);
      if (pool.spec->pool.provider() == provider && Settled(member, asked)) {
        CheckLife(changes, pool, member, observation);
      }
    }
  }
  std::map<std::string, int> orphans;
  for (const auto& [id, observation] : seen) OnOrphan(changes, provider, entry, orphans, id);
  entry.orphans = std::move(orphans);
}

void OnBalancerView(Changes& changes, PoolEntry& pool, absl::Duration asked,
                    const EffectResult& result) {
  pool.view_read = result.status;
  if (!result.status.ok()) {
    pool.view.reset();  // Unknown: nobody is judged on old numbers.
    return;
  }
  pool.view = result.balancer;
  std::map<std::string, const BalancerMember*> seen;
  for (const BalancerMember& member : pool.view->members) seen[member.address] = &member;
  std::set<std::string> known;
  std::vector<double> peers;
  for (const auto& [id, member] : pool.members) {
    if (member.record.balanced() || member.effect.has_value()) {
      known.insert(member.record.instance().address());
    }
    const auto found = seen.find(member.record.instance().address());
    if (member.record.instance().state() == I::ACTIVE && found != seen.end() &&
        found->second->response_time_ms.has_value()) {
      peers.push_back(*found->second->response_time_ms);
    }
  }
  for (auto& [id, member] : pool.members) {
    if (!member.record.balanced() || !Settled(member, asked)) continue;
    const auto found = seen.find(member.record.instance().address());
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
  RemoveStrangers(changes, pool, known);
}

}  // namespace shadow
