#include "server/core/loop/results.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/adoption/lineage.h"
#include "server/core/check.h"
#include "server/core/loop/balancing/balancing.h"
#include "server/core/loop/instances.h"
#include "server/core/loop/status/conditions.h"
#include "server/core/names.h"

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

std::string DeathReason(const Observation& observation) {
  return observation.exit_reason.empty() ? std::string("it is gone") : observation.exit_reason;
}

void OnReadyResult(Changes& changes, PoolEntry& pool, Member& member, const EffectResult& result) {
  if (result.observation.has_value()) {
    I& instance = *member.record.mutable_instance();
    instance.set_address(result.observation->address);
    instance.set_handle(result.observation->handle);
    if (IsDead(*result.observation)) {
      Apply(changes, pool, member, E::kFailed, DeathReason(*result.observation));
      return;
    }
  }
  if (result.ready) {
    Apply(changes, pool, member, E::kReady);
  } else if (absl::IsResourceExhausted(result.status)) {
    WaitForRoom(changes, pool, member, Text(member.task, result.status));
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
  if (IsDead(*result.observation)) {
    Apply(changes, pool, member, E::kFailed, DeathReason(*result.observation));
  } else if (!result.differences.has_value()) {
    member.not_before = changes.now().mono + pool.spec->provider->traits.poll_interval;
  } else if (result.differences->empty()) {
    Apply(changes, pool, member, E::kVerified);
  } else {
    Apply(changes, pool, member, E::kFailed,
          absl::StrCat("differs from its DNA: ", absl::StrJoin(*result.differences, "; ")));
  }
}

void OnDestroyResult(Changes& changes, PoolEntry& pool, Member& member,
                     const EffectResult& result) {
  if (result.status.ok() && result.observation.has_value() &&
      result.observation->life == Life::kAbsent) {
    Apply(changes, pool, member, E::kDestroyed, member.record.instance().reason());
  } else if (result.status.ok()) {
    member.not_before = changes.now().mono + pool.spec->provider->traits.poll_interval;
  } else {
    RetryLater(changes, pool, member, "");
  }
}

void CheckLife(Changes& changes, PoolEntry& pool, Member& member, const Observation* seen) {
  const I::State state = member.record.instance().state();
  if (state == I::FAILED || state == I::DELETING || state == I::CREATING) return;
  if (seen == nullptr || IsDead(*seen)) {
    Apply(changes, pool, member, E::kFailed,
          seen == nullptr ? std::string("it is gone") : DeathReason(*seen));
  } else if (state == I::SUSPENDED && seen->life == Life::kRunning &&
             pool.spec->provider->traits.suspends) {
    Apply(changes, pool, member, E::kRunning);
  } else if (state == I::ACTIVE && seen->life == Life::kSuspended) {
    changes.Warn(member.record.instance().name(), "somebody has stopped it: it is continued");
    Apply(changes, pool, member, E::kStopped);
  }
}

void OnOrphan(Changes& changes, ProviderEntry& entry, std::map<std::string, int>& orphans,
              const Observation& observation) {
  const std::string& id = observation.id;
  const World& world = changes.world();
  if (IsForeign(world.lineage, world.revision, observation) && entry.foreign.insert(id).second) {
    changes.Note(v1::Event::UPDATED, absl::StrCat("instances/", id),
                 "made by another store, or by a newer one than this: it is left alone",
                 LogLevel::kWarning);
  }
  if (entry.foreign.contains(id)) return;
  const int seen = entry.orphans[id] + 1;
  orphans[id] = seen;
  if (seen < kStrangerViews || !entry.ending.insert(id).second) return;
  Effect effect;
  effect.kind = Effect::Kind::kKill;
  effect.provider = entry.provider;
  effect.instance.id = id;
  changes.Run(std::move(effect));
  if (seen == kStrangerViews) {
    changes.Note(v1::Event::DELETED, absl::StrCat("instances/", id),
                 "an instance without a record is destroyed", LogLevel::kWarning);
  }
}

}  // namespace

void OnTaskResult(Changes& changes, PoolEntry& pool, Member& member, const absl::Status& status) {
  const T task = member.task;
  const std::optional<E> done = RowOf(task).done;
  CHECK(done.has_value());
  if (status.ok()) {
    Apply(changes, pool, member, *done);
  } else if (absl::IsResourceExhausted(status) && !AwaitsBalancer(member)) {
    WaitForRoom(changes, pool, member, Text(task, status));
  } else if (AwaitsBalancer(member) || absl::IsAborted(status) ||  // It has not begun.
             (Passing(status) && task != T::kWarmUp)) {
    RetryLater(changes, pool, member, Text(task, status));
  } else {
    Apply(changes, pool, member, E::kFailed, Text(task, status));
  }
}

bool Settled(const Member& member, absl::Duration asked) {
  if (member.task_since > asked) return false;
  // A warm-up changes no life, and goes on until its timeout where an instance has ended.
  if (member.task == T::kWarmUp) return true;
  return !member.effect.has_value() &&
         (member.task == T::kNone || member.task == T::kJudge || member.task == T::kAwaitDrained);
}

namespace {

// What the balancer is told changes no life, and it may never take an instance that is gone.
bool LifeSettled(const Member& member, absl::Duration asked) {
  return Settled(member, asked) || (AwaitsBalancer(member) && member.task_since <= asked);
}

}  // namespace

void HurryLook(Changes& changes, const PoolEntry& pool, Member& member) {
  const absl::Duration now = changes.now().mono;
  if (member.task == T::kAwaitReady || member.task == T::kVerify || member.task == T::kDestroy) {
    member.not_before = std::min(member.not_before, now);
    return;
  }
  if (!LifeSettled(member, now)) return;
  ProviderEntry& entry = changes.world().providers.at(pool.spec->provider->key);
  const absl::Duration soonest = std::max(now, entry.hints_from);
  if (soonest >= entry.next_list) return;
  entry.next_list = soonest;
  entry.hints_from = soonest + kHintedListInterval;
}

void OnInstanceResult(Changes& changes, PoolEntry& pool, Member& member,
                      const EffectResult& result) {
  CHECK(member.effect == result.id);
  member.effect.reset();
  if (std::exchange(member.effect_stale, false)) return;
  CHECK(RowOf(member.task).effect.has_value());
  if (member.task == T::kAwaitReady) return OnReadyResult(changes, pool, member, result);
  if (member.task == T::kVerify) return OnVerifyResult(changes, pool, member, result);
  if (member.task == T::kDestroy) return OnDestroyResult(changes, pool, member, result);
  OnTaskResult(changes, pool, member, result.status);
}

namespace {

void CompareWithList(Changes& changes, const std::string& provider, absl::Duration asked,
                     const EffectResult& result) {
  ProviderEntry& entry = changes.world().providers.at(provider);
  std::map<std::string, const Observation*> seen;
  for (const Observation& observation : result.instances) {
    if (!IsId(observation.id)) continue;  // Ours are.
    seen[observation.id] = &observation;
    entry.missing_controllers = observation.missing_controllers;
  }
  for (auto& [pool_id, pool] : changes.world().pools) {
    for (auto& [id, member] : pool.members) {
      const auto found = seen.find(id);
      const Observation* observation = found == seen.end() ? nullptr : found->second;
      if (found != seen.end()) seen.erase(found);
      if (pool.spec->provider->key == provider) {
        member.reclaimed = observation == nullptr ? std::nullopt : observation->reclaimed;
      }
      if (pool.spec->provider->key == provider && LifeSettled(member, asked)) {
        CheckLife(changes, pool, member, observation);
      }
    }
    if (pool.spec->provider->key == provider) TellAtStart(changes, pool);
  }
  std::map<std::string, int> orphans;
  for (const auto& [id, observation] : seen) OnOrphan(changes, entry, orphans, *observation);
  entry.orphans = std::move(orphans);
}

// The default provider is always listed; any other one for its pools, and until what has no record
// there is ended.
void ForgetIfUnused(World& world, const std::string& provider) {
  const ProviderEntry& entry = world.providers.at(provider);
  if (entry.effect.has_value() || !entry.ending.empty() || !entry.orphans.empty() ||
      provider == DefaultProvider()->key ||
      std::any_of(world.pools.begin(), world.pools.end(), [&provider](const auto& pool) {
        return pool.second.spec->provider->key == provider;
      })) {
    return;
  }
  world.providers.erase(provider);
  world.daemon_changed = true;
}

}  // namespace

void OnInstanceList(Changes& changes, const std::string& provider, absl::Duration asked,
                    const EffectResult& result) {
  NoteProviderList(changes, provider, result.status);
  // Never act on an incomplete list.
  if (result.status.ok()) CompareWithList(changes, provider, asked, result);
  ForgetIfUnused(changes.world(), provider);
}

}  // namespace shadow
