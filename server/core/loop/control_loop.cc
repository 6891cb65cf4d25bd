#include "server/core/loop/control_loop.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/check.h"
#include "server/core/loop/balancing/balancing.h"
#include "server/core/loop/budget_share.h"
#include "server/core/loop/clock/clock_jumps.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/instances.h"
#include "server/core/loop/invariants/pool_invariants.h"
#include "server/core/loop/learning/backfill.h"
#include "server/core/loop/learning/fits.h"
#include "server/core/loop/learning/scoring.h"
#include "server/core/loop/mutations/mutations.h"
#include "server/core/loop/mutations/request_ids.h"
#include "server/core/loop/planning.h"
#include "server/core/loop/pool_open.h"
#include "server/core/loop/pool_tick.h"
#include "server/core/loop/pool_work.h"
#include "server/core/loop/results.h"
#include "server/core/loop/room/low_room.h"
#include "server/core/loop/settle.h"
#include "server/core/loop/status/conditions.h"
#include "server/core/names.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

std::shared_ptr<const DnaMap> DnasOf(const World& world) {
  auto dnas = std::make_shared<DnaMap>();
  for (const auto& [id, entry] : world.dnas) {
    for (const auto& [revision, dna] : entry.revisions) {
      (*dnas)[dna.name() + "@" + revision] = dna;
    }
    const v1::Dna& newest = entry.revisions.at(entry.newest);
    (*dnas)[newest.name()] = newest;
  }
  return dnas;
}

std::shared_ptr<const PoolSnapshot> SnapshotOf(const PoolEntry& pool) {
  auto snapshot = std::make_shared<PoolSnapshot>();
  snapshot->pool = pool.record.pool();
  snapshot->figures = pool.figures;
  for (const auto& [id, shadow] : pool.shadows) {
    snapshot->shadows[shadow.record.shadow().name()] = shadow.record.shadow();
  }
  for (const auto& [id, member] : pool.members) {
    snapshot->instances[member.record.instance().name()] = member.record.instance();
  }
  return snapshot;
}

// Whether `kind` is the effect of its task, or was of one that it has left since.
bool IsAskedFor(Effect::Kind kind, const Member& member) {
  return member.effect_stale || RowOf(member.task).effect == kind ||
         (kind == Effect::Kind::kKill && member.task == InstanceTask::kDestroy);
}

}  // namespace

Ready ControlLoop::Finish(Changes& changes) {
  Ready ready = changes.Finish(options_.parallel_for);
  for (const Effect& effect : ready.effects) {
    CHECK(!in_flight_.contains(effect.id));
    in_flight_[effect.id] = {.kind = effect.kind,
                             .pool = effect.pool ? LastId(effect.pool->pool.name()) : std::string(),
                             .member = effect.instance.id,
                             .provider = effect.provider ? effect.provider->key : std::string(),
                             .asked = changes.now().mono};
  }
  return ready;
}

void ControlLoop::SettleTouched(Changes& changes) {
  for (const std::string& id : changes.touched()) {
    const auto pool = world_.pools.find(id);
    if (pool != world_.pools.end()) Settle(changes, pool->second);
  }
}

void ControlLoop::ListProviders(Changes& changes) {
  if (!options_.lists_providers) return;
  for (auto& [name, provider] : world_.providers) {
    if (provider.effect.has_value() || changes.now().mono < provider.next_list) continue;
    Effect effect;
    effect.kind = Effect::Kind::kListInstances;
    effect.provider = provider.provider;
    provider.effect = changes.Run(std::move(effect));
    provider.next_list = absl::InfiniteDuration();
  }
}

Ready ControlLoop::Recover(Instant now) {
  Changes changes(world_, now);
  changes.Note(v1::Event::RECOVERED, "", "the daemon started");
  for (const auto& [name, text] : std::exchange(findings_, {})) changes.Warn(name, text);
  FollowClock(changes);
  NoteSteadyClock(changes);
  CloseAllSteps(world_, now.wall, options_.parallel_for);
  for (auto& [id, pool] : world_.pools) {
    if (IsAhead(pool, now.wall)) ComeBack(changes, pool);
    for (auto& [member_id, member] : pool.members) {
      Apply(changes, pool, member, InstanceEvent::kRecovered);
    }
    ResumePool(changes, pool);
  }
  CountAllPools(world_);
  if (options_.lists_providers) AddProvider(world_, DefaultProvider(), now.mono);
  ListProviders(changes);
  SettleTouched(changes);
  return Finish(changes);
}

ControlLoop::Handled ControlLoop::Handle(const Request& request, Instant now) {
  const std::string request_id = RequestIdOf(request);
  const absl::Status checked = CheckRequestId(request_id);
  if (!checked.ok()) return {.ready = {}, .answer = checked};
  const bool validate_only = ValidateOnly(request);
  if (auto first = Remembered(world_, request, request_id); first.has_value()) {
    return {.ready = {}, .answer = *std::move(first)};
  }
  if (absl::Status room = CheckRoom(world_, request); !room.ok()) {
    return {.ready = {}, .answer = std::move(room)};
  }
  Changes changes(world_, now, request_id);
  FollowClock(changes);
  Answer answer =
      std::visit([&changes](const auto& message) { return Execute(changes, message); }, request);
  if (answer.ok() && !validate_only) {
    if (!request_id.empty()) Remember(changes, request, request_id, **answer);
    SettleTouched(changes);
  }
  return {.ready = Finish(changes), .answer = std::move(answer)};
}

void ControlLoop::OnPoolResult(Changes& changes, PoolEntry& pool, const InFlight& asked,
                               const EffectResult& result) {
  switch (asked.kind) {
    case Effect::Kind::kAssign:
      OnAssigned(changes, pool, result);
      break;
    case Effect::Kind::kViewBalancer:
      if (pool.balancing.view_effect != result.id)
        return;  // Of a namesake, or a balancer that it had.
      pool.balancing.view_effect.reset();
      OnBalancerView(changes, pool, asked.asked, result);
      break;
    case Effect::Kind::kLearn:
      OnLearned(changes, pool, result);
      return;  // Its members stay as they are; the next tick plans.
    case Effect::Kind::kReadUsage: {
      if (pool.demand.usage_effect != result.id) return;
      pool.demand.usage_effect.reset();
      Samples samples(result.usage.samples.begin(), result.usage.samples.end());
      pool.demand.usage_read = result.status;
      // Read before the clock was set back.
      while (!samples.empty() && FromProto(samples.rbegin()->time()) > changes.now().wall) {
        samples.RemoveLast();
      }
      if (result.status.ok()) {
        pool.demand.usage_read = CheckSamples(pool, samples, changes.now().wall, "usage");
      }
      if (pool.demand.usage_read.ok()) Ingest(changes, pool, samples);
      DecideSoon(changes, pool);  // Without a sample too: demand may be stale.
      break;
    }
    case Effect::Kind::kListInstances:
    case Effect::Kind::kScore:
    case Effect::Kind::kFit:
      return;  // Of no pool, or gone with it: OnResult has taken them.
    case Effect::Kind::kCreate:
    case Effect::Kind::kAwaitReady:
    case Effect::Kind::kVerify:
    case Effect::Kind::kSuspend:
    case Effect::Kind::kResume:
    case Effect::Kind::kWarmUp:
    case Effect::Kind::kDestroy:
    case Effect::Kind::kKill: {
      const auto member = pool.members.find(asked.member);
      if (member == pool.members.end() || member->second.effect != result.id) return;
      CHECK(IsAskedFor(asked.kind, member->second));
      OnInstanceResult(changes, pool, member->second, result);
    }
  }
  Settle(changes, pool);
}

Ready ControlLoop::OnResult(const EffectResult& result, Instant now) {
  const auto found = in_flight_.find(result.id);
  if (found == in_flight_.end()) return {};
  const InFlight asked = std::move(found->second);
  in_flight_.erase(found);
  Changes changes(world_, now);
  FollowClock(changes);
  const auto pool = world_.pools.find(asked.pool);
  if (asked.kind == Effect::Kind::kFit) {
    OnFit(changes, pool == world_.pools.end() ? nullptr : &pool->second, result);
  } else if (asked.kind == Effect::Kind::kScore) {
    OnScore(changes, pool == world_.pools.end() ? nullptr : &pool->second, result);
  } else if (asked.kind == Effect::Kind::kListInstances) {
    ProviderEntry& provider = world_.providers.at(asked.provider);
    provider.effect.reset();
    // A hint that came meanwhile may have set an earlier one.
    provider.next_list =
        std::min(provider.next_list, now.mono + provider.provider->traits.list_interval);
    OnInstanceList(changes, asked.provider, asked.asked, result);
    SettleTouched(changes);
  } else if (pool != world_.pools.end()) {
    OnPoolResult(changes, pool->second, asked, result);
  } else if (const auto provider = world_.providers.find(asked.provider);
             asked.kind == Effect::Kind::kKill && provider != world_.providers.end()) {
    provider->second.ending.erase(asked.member);  // It had no record.
  }
  return Finish(changes);
}

Ready ControlLoop::OnHints(const std::set<std::string>& ids, Instant now) {
  Changes changes(world_, now);
  FollowClock(changes);
  // Whose instances they are is told by the pools alone, so one pass is made for all of them.
  std::vector<PoolEntry*> hurried;
  for (auto& [name, pool] : world_.pools) {
    bool found = false;
    for (auto& [id, member] : pool.members) {
      if (!ids.contains(id)) continue;
      HurryLook(changes, pool, member);
      found = true;
    }
    if (found) hurried.push_back(&pool);
  }
  if (!hurried.empty()) ListProviders(changes);
  for (PoolEntry* pool : hurried) Settle(changes, *pool);  // Which may erase it.
  return Finish(changes);
}

std::vector<PoolEntry*> ControlLoop::NextDue(absl::Duration now) {
  CHECK(world_.due.size() == world_.pools.size());
  std::vector<PoolEntry*> due;
  due.reserve(std::min(kPoolsPerTick, world_.due.size()));
  for (const auto& [key, pool] : world_.due) {
    if (key.first > now || due.size() == kPoolsPerTick) break;
    due.push_back(pool);
  }
  std::sort(due.begin(), due.end(),
            [](const PoolEntry* a, const PoolEntry* b) { return a->id < b->id; });
  return due;
}

Ready ControlLoop::OnRoom(const DiskRoom& room, Instant now) {
  Changes changes(world_, now);
  FollowClock(changes);
  NoteRoom(changes, room);
  return Finish(changes);
}

Ready ControlLoop::OnInstancesMax(int instances_max, Instant now) {
  const int before = std::exchange(world_.instances_max, instances_max);
  if (before == instances_max) return {};
  Changes changes(world_, now);
  FollowClock(changes);
  changes.Note(v1::Event::UPDATED, "",
               absl::StrCat("instances_max is ", instances_max, " instead of ", before));
  world_.budget.shared.reset();  // What was shared by the old one is shared anew.
  for (auto& [id, pool] : world_.pools) {
    ShowLimits(world_, pool);
    changes.Show(pool);
  }
  return Finish(changes);
}

Ready ControlLoop::Tick(Instant now) {
  Changes changes(world_, now);
  FollowClock(changes);
  NoteSteadyClock(changes);
  ListProviders(changes);
  const std::vector<PoolEntry*> due = NextDue(now.mono);
  for (PoolEntry* pool : due) {
    QueueFit(world_, *pool);
    pool->learning.awaits_fit = AwaitsFit(*pool, now.wall);
  }
  world_.budget.shared.reset();
  PlanEndedSteps(due, now, options_.parallel_for);
  for (PoolEntry* pool : due) TickPool(changes, *pool);  // Which may erase it.
  BeginFits(changes);
  DCHECK(IsCounted(world_));
  SaveNext(changes, options_.parallel_for);
  ScoreNext(changes);
  if (now.mono >= next_forget_) {
    next_forget_ = now.mono + kForgetInterval;
    ForgetOldRequests(world_, now.mono);
  }
  Ready ready = Finish(changes);
  CheckNextPool(world_, checked_);
  return ready;
}

absl::Duration ControlLoop::NextTick() const {
  if (!world_.save_queue.empty()) return absl::ZeroDuration();
  absl::Duration next = NextScore(world_);
  for (const auto& [name, provider] : world_.providers) {
    if (options_.lists_providers && !provider.effect.has_value())
      next = std::min(next, provider.next_list);
  }
  if (!world_.due.empty()) next = std::min(next, world_.due.begin()->first.first);
  return next;
}

std::optional<Ready> ControlLoop::Close(Instant now) {
  if (!std::exchange(closing_, true)) {
    for (auto& [id, pool] : world_.pools) {
      if (!world_.room.seen.low) QueueSave(world_, pool);
    }
  }
  if (world_.save_queue.empty()) return std::nullopt;
  Changes changes(world_, now);
  SaveNext(changes, options_.parallel_for);
  return Finish(changes);
}

std::shared_ptr<const Snapshot> ControlLoop::TakeSnapshot() {
  if (snapshot_ && world_.changed_pools.empty() && !world_.dnas_dirty && !world_.daemon_changed &&
      snapshot_->revision == world_.revision) {
    return snapshot_;
  }
  auto next = std::make_shared<Snapshot>();
  if (snapshot_) *next = *snapshot_;
  next->store_id = world_.store_id;
  next->revision = world_.revision;
  next->recovered = world_.recovered;
  if (std::exchange(world_.dnas_dirty, false)) next->dnas = DnasOf(world_);
  if (std::exchange(world_.daemon_changed, false)) next->conditions = DaemonConditions(world_);
  for (const std::string& id : std::exchange(world_.changed_pools, {})) {
    const auto pool = world_.pools.find(id);
    if (pool == world_.pools.end()) {
      next->pools.Erase(PoolName(id));
    } else {
      next->pools.Set(PoolName(id), SnapshotOf(pool->second));
    }
  }
  snapshot_ = std::move(next);
  return snapshot_;
}

}  // namespace shadow
