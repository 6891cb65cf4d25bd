#include "server/core/loop/changes.h"

#include <tuple>

#include "absl/strings/str_cat.h"
#include "server/core/check.h"
#include "server/core/names.h"
#include "server/core/planner.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using I = v1::Instance;
using S = v1::ShadowPool;

S::State StateOf(const v1::ShadowRecord& record, int members, int serving, int resting, int moving,
                 int failures) {
  const S& shadow = record.shadow();
  const int active = ActiveCount(shadow.target_instances(), shadow.target_activation_level());
  if (record.deleting()) return S::DELETING;
  if (members < shadow.target_instances() && moving == 0 && failures > 0) return S::FAILED;
  if (serving > active) return S::DEACTIVATING;
  if (active > 0) return serving < active ? S::ACTIVATING : S::ACTIVE;
  if (resting == shadow.target_instances() && resting == members) return S::SUSPENDED;
  return S::CREATING;
}

// The fields that DeriveShadow and DerivePool set: comparing whole messages costs more than all
// else that an input leads to.
auto Derived(const S& shadow) {
  return std::tuple(shadow.state(), shadow.reconciling(), shadow.serving_instances(),
                    shadow.suspended_instances(), shadow.failed_instances());
}
auto Derived(const v1::Pool& pool) {
  return std::tuple(pool.serving_base_instances(), pool.reconciling());
}

}  // namespace

void DeriveShadow(const PoolEntry& pool, ShadowEntry& entry) {
  S& shadow = *entry.record.mutable_shadow();
  int members = 0;
  int serving = 0;
  int leaving = 0;
  int resting = 0;
  int failed = 0;
  int moving = 0;
  for (const auto& [id, member] : pool.members) {
    if (member.record.instance().cordoned()) continue;
    if (!member.shadow.empty() && shadow.name().ends_with("/" + member.shadow)) {
      const I::State state = member.record.instance().state();
      failed += state == I::FAILED;
      serving += state == I::ACTIVE;
      // One that is suspended for the first time has never been asked to serve.
      leaving += state == I::DRAINING || (state == I::SUSPENDING && !member.record.checking() &&
                                          member.record.instance().has_need_time());
      resting += Rests(member);
      const bool counts = state != I::FAILED && state != I::DELETING;
      members += counts;
      moving += counts && state != I::ACTIVE && !Rests(member);
    }
  }
  shadow.set_serving_instances(serving);
  shadow.set_suspended_instances(resting);
  shadow.set_failed_instances(failed);
  shadow.set_state(StateOf(entry.record, members, serving + leaving, resting, moving,
                           entry.backoff.consecutive_failures));
  shadow.set_reconciling(shadow.state() != S::SUSPENDED && shadow.state() != S::ACTIVE);
}

void DerivePool(PoolEntry& pool) {
  v1::Pool& proto = *pool.record.mutable_pool();
  int serving = 0;
  bool moving = false;
  for (const auto& [id, member] : pool.members) {
    const I& instance = member.record.instance();
    if (!member.shadow.empty() || instance.cordoned()) continue;
    serving += instance.state() == I::ACTIVE;
    const bool replaced =
        instance.restarting() ||
        (instance.dna_revision() != proto.dna_revision() && !proto.rollout_paused());
    moving |= instance.state() == I::ACTIVE ? replaced : instance.state() != I::FAILED;
  }
  proto.set_serving_base_instances(serving);
  proto.set_reconciling(proto.state() == v1::Pool::DELETING || moving ||
                        serving < proto.managed_instances());
}

v1::Event& Changes::AddEvent(v1::Event::Kind kind, std::string_view name, std::string_view message,
                             LogLevel level) {
  ready_.log_levels.push_back(level);
  v1::Event& event = *ready_.batch.add_events();
  event.set_revision(++world_.revision);
  *event.mutable_time() = ToProto(now_.wall);
  event.set_kind(kind);
  event.set_name(std::string(name));
  event.set_request_id(request_id_);
  event.set_message(std::string(message));
  return event;
}

void Changes::Put(const v1::Dna& dna, v1::Event::Kind kind, std::string_view message) {
  *AddEvent(kind, dna.name(), message, LogLevel::kInfo).mutable_dna() = dna;
  *ready_.batch.add_put_dnas()->mutable_dna() = dna;
  world_.dnas_dirty = true;
}

void Changes::Put(PoolEntry& pool, v1::Event::Kind kind, std::string_view message, LogLevel level) {
  *pool.record.mutable_pool()->mutable_update_time() = ToProto(now_.wall);
  DerivePool(pool);
  v1::Event& event = AddEvent(kind, pool.record.pool().name(), message, level);
  *event.mutable_pool() = pool.record.pool();
  Keep(pool);
}

void Changes::Put(PoolEntry& pool, ShadowEntry& shadow, v1::Event::Kind kind,
                  std::string_view message, LogLevel level) {
  v1::ShadowPool& proto = *shadow.record.mutable_shadow();
  *proto.mutable_update_time() = ToProto(now_.wall);
  DeriveShadow(pool, shadow);
  *AddEvent(kind, proto.name(), message, level).mutable_shadow_pool() = proto;
  kept_shadows_.emplace(pool.id, LastId(proto.name()));
  pools_.try_emplace(pool.id, &pool);
}

void Changes::Put(PoolEntry& pool, Member& member, v1::Event::Kind kind, std::string_view message) {
  const I& instance = member.record.instance();
  const LogLevel level = instance.state() == I::FAILED ? LogLevel::kWarning : LogLevel::kDebug;
  *AddEvent(kind, instance.name(), message, level).mutable_instance() = instance;
  Keep(pool, member);
}

void Changes::Keep(PoolEntry& pool) {
  kept_pools_.try_emplace(pool.id, &pool);
  pools_.try_emplace(pool.id, &pool);
}

void Changes::Keep(PoolEntry& pool, const Member& member) {
  kept_members_.emplace(pool.id, member.id);
  pools_.try_emplace(pool.id, &pool);
}

void Changes::Erase(const v1::Dna& revision) {
  ready_.batch.add_erase(absl::StrCat(revision.name(), "@", revision.revision()));
  world_.dnas_dirty = true;
}

void Changes::Erase(PoolEntry& pool) {
  CHECK(pool.members.empty() && pool.shadows.empty());
  *AddEvent(v1::Event::DELETED, pool.record.pool().name(), "deleted", LogLevel::kInfo)
       .mutable_pool() = pool.record.pool();
  ready_.batch.add_erase(pool.record.pool().name());
  ready_.gone_pools.push_back(pool.record.pool().name());
  kept_pools_.erase(pool.id);
  pools_.erase(pool.id);
  Show(pool);
}

void Changes::Erase(PoolEntry& pool, const ShadowEntry& shadow) {
  const v1::ShadowPool& proto = shadow.record.shadow();
  *AddEvent(v1::Event::DELETED, proto.name(), "deleted", LogLevel::kInfo).mutable_shadow_pool() =
      proto;
  ready_.batch.add_erase(proto.name());
  kept_shadows_.erase({pool.id, LastId(proto.name())});
  pools_.try_emplace(pool.id, &pool);
}

void Changes::Erase(PoolEntry& pool, const Member& member) {
  const v1::Instance& instance = member.record.instance();
  *AddEvent(v1::Event::DELETED, instance.name(), "gone", LogLevel::kDebug).mutable_instance() =
      instance;
  ready_.batch.add_erase(instance.name());
  kept_members_.erase({pool.id, member.id});
  pools_.try_emplace(pool.id, &pool);
}

void Changes::Record(PoolEntry& pool, v1::Decision& decision, bool differs) {
  CHECK(decision.target_active() >= 0);
  CHECK(decision.target_active() <= decision.target_instances());
  CHECK(decision.target_activation_level() >= 0 && decision.target_activation_level() <= 100);
  decision.set_id(++world_.decision_id);
  *ready_.batch.add_decisions() = decision;
  if (differs) {
    *AddEvent(v1::Event::DECIDED, pool.record.pool().name(), decision.explanation(),
              LogLevel::kDebug)
         .mutable_decision() = decision;
  }
}

void Changes::Note(v1::Event::Kind kind, std::string_view name, std::string_view message,
                   LogLevel level) {
  AddEvent(kind, name, message, level);
}

void Changes::Warn(std::string_view name, std::string_view message) {
  AddEvent(v1::Event::UPDATED, name, message, LogLevel::kWarning).clear_request_id();
}

PoolIds Changes::touched() const {
  PoolIds ids;
  for (const auto& [id, pool] : pools_) ids.insert(ids.end(), id);
  return ids;
}

uint64_t Changes::Run(Effect effect) {
  effect.id = ++world_.effect_id;
  effect.request_id = request_id_;
  ready_.effects.push_back(std::move(effect));
  return world_.effect_id;
}

void Changes::Derive(PoolEntry& pool) {
  for (auto& [id, shadow] : pool.shadows) {
    const auto before = Derived(shadow.record.shadow());
    DeriveShadow(pool, shadow);
    if (Derived(shadow.record.shadow()) == before) continue;
    const S::State was = std::get<S::State>(before);
    const S::State now = shadow.record.shadow().state();
    const std::string message = was == now
                                    ? std::string("members changed")
                                    : absl::StrCat(S::State_Name(was), " -> ", S::State_Name(now));
    Put(pool, shadow, v1::Event::UPDATED, message, was == now ? LogLevel::kDebug : LogLevel::kInfo);
  }
  const auto before = Derived(pool.record.pool());
  DerivePool(pool);
  if (Derived(pool.record.pool()) != before) {
    Put(pool, v1::Event::UPDATED, "base changed", LogLevel::kDebug);
  }
  Show(pool);
}

// Each step changes what all pools' planners remember.
void Changes::KeepPools(const ParallelFor& parallel_for) {
  std::vector<std::pair<const v1::PoolRecord*, v1::StoredPool*>> kept;
  kept.reserve(kept_pools_.size());
  for (const auto& [id, pool] : kept_pools_) {
    kept.emplace_back(&pool->record, ready_.batch.add_put_pools());
  }
  parallel_for(kept.size(), [&](size_t i) {
    const auto& [record, stored] = kept[i];
    stored->set_name(record->pool().name());
    record->SerializeToString(stored->mutable_record());
  });
}

Ready Changes::Finish(const ParallelFor& parallel_for) {
  CHECK(!finished_);
  finished_ = true;
  const Pools touched = pools_;  // To derive is to touch.
  for (const auto& [id, pool] : touched) Derive(*pool);
  KeepPools(parallel_for);
  for (const auto& [pool, shadow] : kept_shadows_) {
    *ready_.batch.add_put_shadows() = world_.pools.at(pool).shadows.at(shadow).record;
  }
  for (const auto& [pool, member] : kept_members_) {
    *ready_.batch.add_put_instances() = world_.pools.at(pool).members.at(member).record;
  }
  CHECK(ready_.log_levels.size() == static_cast<size_t>(ready_.batch.events_size()));
  int64_t revision = world_.revision - ready_.batch.events_size();
  for (const v1::Event& event : ready_.batch.events()) CHECK(event.revision() == ++revision);
  return std::move(ready_);
}

}  // namespace shadow
