#include "server/core/adoption/adoption.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/adoption/lineage.h"
#include "server/core/check.h"
#include "server/core/names.h"
#include "server/core/planner.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using I = v1::Instance;
using R = v1::InstanceRecord;

// Where an instance belongs, by its name. Empty: the name is not one of an instance.
struct Place {
  std::string pool;    // pools/{pool}
  std::string shadow;  // pools/{pool}/shadowPools/{shadow}; empty for BASE.
};

Place PlaceOf(const std::string& name) {
  const auto parsed = ParseInstanceName(name, "name");
  if (!parsed.ok()) return {};
  return {.pool = PoolName(parsed->pool),
          .shadow = parsed->shadow.empty() ? "" : ShadowPoolName(parsed->pool, parsed->shadow)};
}

std::string IdOf(const std::string& name) {
  const auto parsed = ParseInstanceName(name, "name");
  return parsed.ok() ? parsed->id : "";
}

// What the balancer does with an instance.
struct Traffic {
  bool has_balancer = false;
  bool known = false;
  bool draining = false;
  int weight_percent = 0;
};

Traffic TrafficOf(const BalancerViews& views, const std::string& pool, const std::string& address) {
  Traffic traffic;
  const auto view = views.find(pool);
  if (view == views.end()) return traffic;
  traffic.has_balancer = true;
  for (const BalancerMember& member : view->second.members) {
    if (member.address != address) continue;
    traffic.known = true;
    traffic.draining = member.draining;
    traffic.weight_percent = member.weight_percent;
  }
  return traffic;
}

I::State FoundState(Life life, const Traffic& traffic) {
  switch (life) {
    case Life::kRunning:
      if (!traffic.has_balancer) return I::ACTIVE;
      if (traffic.known && traffic.draining) return I::DRAINING;
      return traffic.known && traffic.weight_percent > 0 ? I::ACTIVE : I::CREATING;
    case Life::kSuspended:
      return I::SUSPENDED;
    case Life::kStarting:
      return I::CREATING;
    case Life::kStopping:
    case Life::kAbsent:
      return I::DELETING;
    case Life::kExited:
      return I::FAILED;
  }
  return I::FAILED;
}

R::Want WantOf(I::State state, I::Role role) {
  if (state == I::DELETING) return R::WANT_GONE;
  const bool serves = state == I::ACTIVE || (role == I::BASE && state != I::DRAINING);
  return serves ? R::WANT_ACTIVE : R::WANT_SUSPENDED;
}

bool Counts(I::State state) { return state != I::FAILED && state != I::DELETING; }

class Adopter {
 public:
  Adopter(const v1::StoreContents& contents, const BalancerViews& views, absl::Time now,
          const Revival& revival)
      : views_(views),
        revival_(revival),
        now_(now),
        lineage_(LineageOf(contents)),
        last_revision_(contents.last_revision()),
        revision_(contents.last_revision()) {
    for (const auto& record : contents.pools()) pools_.insert(record.pool().name());
    for (const auto& record : contents.dnas()) {
      dnas_.insert(absl::StrCat(record.dna().name(), "@", record.dna().revision()));
    }
    for (const auto& record : revival.pools) pools_.insert(record.pool().name());
    for (const v1::Dna& dna : revival.dnas) {
      dnas_.insert(absl::StrCat(dna.name(), "@", dna.revision()));
    }
    for (const auto& record : contents.shadows()) shadows_[record.shadow().name()] = record;
    for (const auto& record : contents.instances()) {
      known_[IdOf(record.instance().name())] = record;
    }
  }

  Adoption Take(const std::vector<Survivor>& survivors, const std::set<std::string>& pools) {
    Adoption adoption;
    std::set<std::string> living;
    for (const Survivor& one : survivors) {
      const int64_t number = InstanceNumber(one.seen.id);
      living.insert(one.seen.id);
      adoption.foreign += IsForeign(lineage_, last_revision_, one.seen);
      revision_ = std::max(revision_, number);
    }
    if (adoption.foreign == 0 && revival_.dnas.empty() && revival_.pools.empty()) return adoption;
    TakeBackDnas();
    for (const Survivor& one : survivors) {
      const auto known = known_.find(one.seen.id);
      const bool foreign = IsForeign(lineage_, last_revision_, one.seen);
      if (!foreign && known == known_.end()) continue;
      const std::string why = foreign ? WhyNot(one) : "";
      if (!why.empty()) {
        adoption.refused.push_back({.id = one.seen.id, .why = why});
        continue;
      }
      if (known != known_.end()) {
        Update(known->second, one);
      } else {
        Add(one);
      }
      if (foreign) Accept(one.seen);
    }
    for (const auto& [epoch, last_revision] : accepted_) {
      v1::PastEpoch& past = *batch_.add_put_epochs();
      past.set_epoch(epoch);
      past.set_last_revision(last_revision);
    }
    for (const auto& [id, record] : known_) {
      const std::string& name = record.instance().name();
      if (!living.contains(id) && pools.contains(PlaceOf(name).pool)) Erase(name);
    }
    TakeBackPools();
    FitShadows();
    adoption.batch = std::move(batch_);
    return adoption;
  }

 private:
  // Empty: it can be adopted.
  std::string WhyNot(const Survivor& one) const {
    const CreationNote& note = one.note;
    const Place place = PlaceOf(note.name);
    if (IdOf(note.name) != one.seen.id) return "its record does not name it";
    if (!pools_.contains(place.pool)) {
      return absl::StrCat("its pool, ", place.pool, ", is not in the store");
    }
    if (note.dna_revision.empty()) {
      return "its record does not say its DNA: an older shadowd has started it";
    }
    if (!dnas_.contains(note.dna_revision)) {
      return absl::StrCat("its DNA, ", note.dna_revision, ", is not in the store");
    }
    const auto known = known_.find(one.seen.id);
    if (known == known_.end()) return "";
    const I& instance = known->second.instance();
    const bool same = instance.name() == note.name && instance.dna_revision() == note.dna_revision;
    return same ? "" : absl::StrCat("its id is that of ", instance.name(), " in the store");
  }

  void TakeBackDnas() {
    for (const v1::Dna& dna : revival_.dnas) {
      *batch_.add_put_dnas()->mutable_dna() = dna;
      *AddEvent(v1::Event::CREATED, dna.name(), absl::StrCat("taken back: ", dna.revision()))
           .mutable_dna() = dna;
    }
  }

  void TakeBackPools() {
    for (v1::PoolRecord record : revival_.pools) {
      v1::Pool& pool = *record.mutable_pool();
      const int base = bases_[pool.name()];
      std::string message = "taken back, in OBSERVE";
      if (pool.has_managed_instances() && pool.managed_instances() < base) {
        absl::StrAppend(&message, "; its base is made to fit what was adopted: ", base,
                        " instances instead of ", pool.managed_instances());
        pool.set_managed_instances(base);
      }
      v1::Event& event = AddEvent(v1::Event::CREATED, pool.name(), message);
      pool.set_etag(absl::StrCat(event.revision()));
      *event.mutable_pool() = pool;
      v1::StoredPool& stored = *batch_.add_put_pools();
      stored.set_name(pool.name());
      record.SerializeToString(stored.mutable_record());
    }
  }

  // The store knows of this epoch what it has adopted, and that nothing else lives.
  void Accept(const Observation& seen) {
    if (seen.epoch.empty() || seen.epoch == lineage_.epoch) return;
    int64_t& last_revision = accepted_[seen.epoch];
    last_revision = std::max(last_revision, InstanceNumber(seen.id));
  }

  void Add(const Survivor& one) {
    R record;
    I& instance = *record.mutable_instance();
    instance.set_name(one.note.name);
    instance.set_role(PlaceOf(one.note.name).shadow.empty() ? I::BASE : I::SHADOW);
    instance.set_dna_revision(one.note.dna_revision);
    *instance.mutable_create_time() = ToProto(one.note.create_time);
    Put(std::move(record), one, "adopted: ");
  }

  // One that is to go goes, whatever it does now, and so does what has failed.
  void Update(const R& record, const Survivor& one) {
    const I& instance = record.instance();
    const Place place = PlaceOf(instance.name());
    const I::State state =
        FoundState(one.seen.life, TrafficOf(views_, place.pool, one.seen.address));
    // Without a balancer nobody says that one which was still being made has been verified since.
    const bool starts = instance.state() == I::CREATING || instance.state() == I::VERIFYING;
    const bool unsure = starts && state == I::ACTIVE && !views_.contains(place.pool);
    const bool stays = !Counts(instance.state()) || instance.state() == state || unsure;
    if (stays) return Count(instance);
    Put(record, one, "found: ");
  }

  void Put(R record, const Survivor& one, std::string_view message) {
    I& instance = *record.mutable_instance();
    const Traffic traffic = TrafficOf(views_, PlaceOf(instance.name()).pool, one.seen.address);
    instance.set_state(FoundState(one.seen.life, traffic));
    instance.set_address(one.seen.address);
    instance.set_handle(one.seen.handle);
    instance.set_reason(one.seen.exit_reason);
    *instance.mutable_state_time() = ToProto(now_);
    const bool serves = instance.state() == I::ACTIVE;
    const bool balanced = traffic.known && (serves || instance.state() == I::DRAINING);
    record.set_want(WantOf(instance.state(), instance.role()));
    record.set_balanced(balanced);
    record.clear_checking();
    const int unbalanced = serves ? 100 : 0;
    instance.set_weight_percent(traffic.has_balancer ? (balanced ? traffic.weight_percent : 0)
                                                     : unbalanced);
    v1::Event& event =
        AddEvent(v1::Event::UPDATED, instance.name(),
                 absl::StrCat(std::string(message), I::State_Name(instance.state())));
    *event.mutable_instance() = instance;
    Count(instance);
    *batch_.add_put_instances() = std::move(record);
  }

  void Erase(const std::string& name) {
    batch_.add_erase(name);
    AddEvent(v1::Event::DELETED, name, "it is gone");
  }

  v1::Event& AddEvent(v1::Event::Kind kind, const std::string& name, const std::string& message) {
    v1::Event& event = *batch_.add_events();
    event.set_revision(++revision_);
    *event.mutable_time() = ToProto(now_);
    event.set_kind(kind);
    event.set_name(name);
    event.set_message(message);
    return event;
  }

  void Count(const I& instance) {
    const Place place = PlaceOf(instance.name());
    if (!Counts(instance.state()) || instance.cordoned()) return;
    if (place.shadow.empty()) {
      ++bases_[place.pool];
      return;
    }
    Members& members = members_[place.shadow];
    ++members.all;
    members.active += instance.state() == I::ACTIVE;
    members.dna_revision = instance.dna_revision();
  }

  // A target below what there is would end the rest at once.
  void FitShadows() {
    for (const auto& [name, members] : members_) {
      const auto found = shadows_.find(name);
      v1::ShadowRecord record = found == shadows_.end() ? NewShadow(name, members) : found->second;
      v1::ShadowPool& shadow = *record.mutable_shadow();
      const int before = ActiveCount(shadow.target_instances(), shadow.target_activation_level());
      const bool fits = shadow.target_instances() >= members.all && before >= members.active;
      if (record.deleting() || fits) continue;
      const int instances = std::max(shadow.target_instances(), members.all);
      const int active = std::max(before, members.active);
      shadow.set_target_instances(instances);
      shadow.set_target_activation_level(LevelFor(instances, active));
      v1::Event& event = AddEvent(v1::Event::UPDATED, name,
                                  absl::StrCat("made to fit its adopted instances: ", instances,
                                               ", of which ", active, " serve"));
      shadow.set_etag(absl::StrCat(event.revision()));
      *shadow.mutable_update_time() = ToProto(now_);
      *event.mutable_shadow_pool() = shadow;
      *batch_.add_put_shadows() = std::move(record);
    }
  }

  struct Members {
    int all = 0;
    int active = 0;
    std::string dna_revision;
  };

  v1::ShadowRecord NewShadow(const std::string& name, const Members& members) const {
    v1::ShadowRecord record;
    record.mutable_shadow()->set_name(name);
    record.mutable_shadow()->set_state(v1::ShadowPool::CREATING);
    record.mutable_shadow()->set_dna_revision(members.dna_revision);
    *record.mutable_shadow()->mutable_create_time() = ToProto(now_);
    return record;
  }

  const BalancerViews& views_;
  const Revival& revival_;
  const absl::Time now_;
  const Lineage lineage_;
  const int64_t last_revision_;  // Of the store.
  int64_t revision_;
  std::set<std::string> pools_;                      // By name.
  std::set<std::string> dnas_;                       // Revisions.
  std::map<std::string, v1::ShadowRecord> shadows_;  // By name.
  std::map<std::string, R> known_;                   // By id.
  std::map<std::string, Members> members_;           // By name of the shadow pool.
  std::map<std::string, int> bases_;                 // Instances, by name of the pool.
  std::map<std::string, int64_t> accepted_;          // Last revisions, by epoch.
  v1::WriteBatch batch_;
};

template <typename Records, typename Record, typename NameOf>
void Replace(Records& records, const Record& record, NameOf name_of) {
  for (auto& one : records) {
    if (name_of(one) != name_of(record)) continue;
    one = record;
    return;
  }
  *records.Add() = record;
}

}  // namespace

Adoption Adopt(const v1::StoreContents& contents, const std::string& provider,
               const std::vector<Survivor>& survivors, const BalancerViews& views, absl::Time now,
               const Revival& revival) {
  std::set<std::string> pools;
  for (const auto& record : contents.pools()) {
    if (CompileProvider(record.pool().provider())->key != provider) continue;
    pools.insert(record.pool().name());
  }
  return Adopter(contents, views, now, revival).Take(survivors, pools);
}

void ApplyAdoption(const v1::WriteBatch& batch, v1::StoreContents& contents) {
  for (const v1::DnaRecord& put : batch.put_dnas()) {
    Replace(*contents.mutable_dnas(), put, [](const v1::DnaRecord& record) {
      return absl::StrCat(record.dna().name(), "@", record.dna().revision());
    });
  }
  for (const v1::StoredPool& put : batch.put_pools()) {
    v1::PoolRecord pool;
    CHECK(pool.ParseFromString(put.record()));
    Replace(*contents.mutable_pools(), pool,
            [](const v1::PoolRecord& record) { return record.pool().name(); });
  }
  for (const R& put : batch.put_instances()) {
    Replace(*contents.mutable_instances(), put,
            [](const R& record) { return record.instance().name(); });
  }
  for (const v1::ShadowRecord& put : batch.put_shadows()) {
    Replace(*contents.mutable_shadows(), put,
            [](const v1::ShadowRecord& record) { return record.shadow().name(); });
  }
  for (const v1::PastEpoch& put : batch.put_epochs()) {
    Replace(*contents.mutable_past_epochs(), put,
            [](const v1::PastEpoch& past) { return past.epoch(); });
  }
  auto& instances = *contents.mutable_instances();
  const std::set<std::string> erased(batch.erase().begin(), batch.erase().end());
  instances.erase(std::remove_if(instances.begin(), instances.end(),
                                 [&erased](const R& record) {
                                   return erased.contains(record.instance().name());
                                 }),
                  instances.end());
  for (const v1::Event& event : batch.events()) {
    contents.set_last_revision(std::max(contents.last_revision(), event.revision()));
  }
}

}  // namespace shadow
