// Everything the control thread owns. No locks: readers get a Snapshot, and a pool that is lent to
// another thread (pool_work.h) is that thread's alone until it is back.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/time/time.h"
#include "forecast/forecaster.h"
#include "server/core/adoption/lineage.h"
#include "server/core/capacity/pool_capacity.h"
#include "server/core/clock.h"
#include "server/core/effects/effect.h"
#include "server/core/lifecycle.h"
#include "server/core/loop/room/disk_room.h"
#include "server/core/loop/status/pool_figures.h"
#include "server/core/rise_detector.h"
#include "server/core/spec.h"
#include "shadow/v1/record.pb.h"

namespace shadow {

// Durations here are instants of the monotonic clock.
struct Member {
  std::string id;
  std::string shadow;  // Short; empty for BASE.
  v1::InstanceRecord record;
  std::shared_ptr<const CompiledDna> dna;

  InstanceTask task = InstanceTask::kNone;
  std::optional<uint64_t> effect;  // In flight; one at a time.
  bool effect_stale = false;       // It was for a task that has been left since: drop its result.
  absl::Duration task_since;
  absl::Duration not_before;                           // Of the next try of `task`.
  absl::Duration deadline = absl::InfiniteDuration();  // Of `task`.
  int tries = 0;                                       // Of `task`, failed ones.
  std::string not_ready;                               // Why its last ready check failed.
  absl::Duration begun;                                // Its creation; before a restart: zero.
  // When its creation, its activation, and its way into the balancer began. Unset: not yet, that
  // lead was measured, or a restart came between.
  std::optional<absl::Duration> created_at;
  std::optional<absl::Duration> needed_at;
  std::optional<absl::Duration> warm_at;
  std::optional<absl::Duration> unhealthy_since;  // At the balancer, while ACTIVE.
  std::optional<ReclaimedMemory> reclaimed;       // As its provider last listed it.
};

// It waits to be woken. One that is checked does so too.
inline bool Rests(const Member& member) {
  return member.record.instance().state() == v1::Instance::SUSPENDED || member.record.checking();
}

// Back-off of a group's creations after failures. Group: the base, or one shadow pool.
struct Backoff {
  int consecutive_failures = 0;  // Since one has served; those of one moment count once.
  absl::Duration failed_at = -absl::InfiniteDuration();  // The last one that counted.
  bool one_at_a_time = false;  // Since one could not be made, until one has been.
  absl::Duration not_before;
};

struct ShadowEntry {
  v1::ShadowRecord record;
  Backoff backoff;
  std::string request_id;  // Of the last mutation.
};

// The mean of the samples of the step that is being filled.
struct OpenStep {
  absl::Time start = absl::InfinitePast();
  double sum = 0;
  int64_t count = 0;

  // The next sample of the step that starts then.
  void Add(absl::Time step, double value) {
    start = step;
    sum += value;
    ++count;
  }
  double Mean() const { return sum / static_cast<double>(count); }  // Of one sample at least.
};

// What the forecast says at one instant; unset: nothing.
struct Outlook {
  v1::Trust trust = v1::TRUST_UNSPECIFIED;
  std::optional<double> activation_quantile;
  std::optional<double> look_ahead_quantile;
};

using PoolIds = absl::btree_set<std::string>;  // In order: what a tick leads to is the same anew.

inline constexpr absl::Duration kDefaultProvisioningLead = absl::Seconds(30);
inline constexpr absl::Duration kDefaultActivationLead = absl::Seconds(2);

// What a pool's record comes to (LearnLeads).
struct LearnedLeads {
  absl::Duration provisioning = kDefaultProvisioningLead;
  absl::Duration waking = kDefaultActivationLead;
  absl::Duration balancing;
};

// Of one pool, in World::budget.
struct PoolCount {
  int promised = 0;
  int base_and_wanted = 0;
  bool operator==(const PoolCount&) const = default;
};

// Long work of a pool: fits, saves, and to learn again from its samples.
struct PoolLearning {
  std::optional<absl::Time> fit_queued;   // In World::fits, with this time.
  std::optional<uint64_t> fit_effect;     // Under way.
  bool awaits_fit = false;                // Its decisions are put off until then.
  bool save_queued = false;               // In World::save_queue.
  std::optional<uint64_t> learn_effect;   // It learns again, meanwhile by what it knew.
  std::vector<OpenStep> steps_meanwhile;  // Closed since that began; oldest first.
  bool steps_meanwhile_lost = false;      // That will not do: it has to begin again.
};

// What has come of a pool's demand.
struct PoolDemand {
  std::optional<double> value;  // Of the last sample.
  absl::Time last_sample = absl::InfinitePast();
  absl::Time stored_step = absl::InfinitePast();  // Of the last sample that was stored.
  OpenStep open_step;
  OpenStep closed_step;     // The last one that counted.
  absl::Status usage_read;  // What became of the last reading; OK before the first.
  std::optional<uint64_t> usage_effect;
};

// What a pool's decisions go by, and what came of them.
struct PoolPlanning {
  // Only between PlanEndedSteps and the decisions that follow it.
  std::optional<Outlook> outlook;
  std::optional<v1::Decision> size_decision;  // By the pool alone, whatever the budget.
  int early_rise = 0;                         // EarlyRiseOf, as of the end of the last step.
  std::optional<TrustVerdict> trust;  // As of the end of the last step; unset: none has ended.
  RiseDetector rise;
  std::map<v1::Decision::Kind, v1::Decision> last_decisions;
  PoolCount counted;
  int wanted = 0;  // Shadow instances that its last decision would have, were there enough.
  int needed = 0;  // Of those, what actual demand needs; what serves, while that is not known.
};

// What is known of a pool's balancer, and what it is being told.
struct PoolBalancing {
  std::optional<BalancerView> view;
  bool view_counted = false;  // In PoolPlanning::rise.
  absl::Status view_read;
  std::optional<uint64_t> view_effect;
  std::optional<uint64_t> assign_effect;  // The balancer is being told of all members.
  std::vector<std::string> assigning;     // Of those, in order, the ones that it names.
  bool assigned = false;    // It was told by this daemon, and so can tell who its members are.
  bool assign_due = false;  // Tell it even if no member waits.
};

// When a pool's next work is due.
struct PoolTimers {
  absl::Duration opened;                                 // By this daemon.
  absl::Duration next_activation;                        // Read usage, or decide the level.
  absl::Duration next_level = absl::InfiniteDuration();  // Decide the level (DecideSoon).
  absl::Duration next_soon;                     // No sample has the level decided before it.
  absl::Time next_size = absl::InfinitePast();  // Wall: the next step boundary.
  absl::Duration next_view;                     // Look at the balancer.
  absl::Duration next_assign;                   // Tell it of all members, not before.
  absl::Duration next_save;                     // Of the forecaster and the capacity.
  absl::Duration next_score;                    // While it is in OBSERVE.
  // The earliest of these but its saves and scores; set by World::SetDue.
  absl::Duration due;
};

struct PoolEntry {
  std::string id;  // "web"
  v1::PoolRecord record;
  std::shared_ptr<const CompiledPool> spec;
  std::unique_ptr<Forecaster> forecaster;
  std::unique_ptr<PoolCapacity> capacity;
  std::map<std::string, ShadowEntry> shadows;  // By short name.
  std::map<std::string, Member> members;       // By id.
  Backoff base_backoff;
  LearnedLeads learned_leads;
  PoolDemand demand;
  PoolPlanning planning;
  PoolLearning learning;
  PoolBalancing balancing;
  PoolTimers timers;
  std::shared_ptr<PoolFigures> figures = std::make_shared<PoolFigures>();
};

struct DnaEntry {
  std::map<std::string, v1::Dna> revisions;  // By 12 hex digits.
  std::string newest;
};

// The first answer to a request, for when it comes again.
struct RememberedRequest {
  v1::RequestRecord record;
  absl::Duration since;  // Answered, or loaded.
};

struct ProviderEntry {
  std::shared_ptr<const CompiledProvider> provider;
  absl::Duration next_list;                               // While one is under way: infinite.
  absl::Duration hints_from = -absl::InfiniteDuration();  // Hints bring no list before it.
  std::optional<uint64_t> effect;
  std::optional<absl::Status> listed;  // What the last list came to; unset: none came yet.
  v1::Condition condition;             // ProviderReachable.
  // As the last list with instances said (Observation); unset: it said nothing of that.
  std::optional<std::vector<std::string>> missing_controllers;
  std::map<std::string, int> orphans;  // Instances without a record: lists that showed them.
  std::set<std::string> ending;        // Of those, the ones whose end is under way.
  // Of those, the ones that another store or a newer one has made (IsForeign): nothing of them is
  // ended.
  std::set<std::string> foreign;
};

// The wall clock, as seen against the monotonic one.
struct ClockEntry {
  std::optional<absl::Time> origin = {};      // The wall clock less the monotonic one, last input.
  std::optional<absl::Duration> jumped = {};  // When it did so last.
  v1::Condition condition = {};               // ClockSteady; STATUS_UNSPECIFIED before the start.
};

// Instances that were promised to pools. Scarce ones are shared once a tick, when first needed.
struct Budget {
  int promised = 0;                           // Bases and targets of all pools (CountPool).
  int base_and_wanted = 0;                    // Bases and wanted counts, or a person's targets.
  std::optional<absl::Duration> shared = {};  // When `shares` were made; unset: not in this tick.
  std::map<std::string, int> shares = {};     // Of shadow instances, by pool.
};

// The replay that scores a pool in OBSERVE: one at a time, of all pools.
struct Scoring {
  std::optional<uint64_t> effect = {};                 // Under way.
  std::shared_ptr<const CompiledPool> spec = nullptr;  // That is replayed; the pool's, shared.
  absl::Duration begun = {};
  absl::Duration not_before = {};  // Of the next one.
};

// Fits that are due; the one that counts first is begun first.
struct Fits {
  std::set<std::pair<absl::Time, std::string>> waiting = {};  // When it counts; short pool name.
  int in_flight = 0;
};

struct World {
  void SetDue(PoolEntry& pool, absl::Duration time) {
    due.erase({pool.timers.due, pool.id});
    pool.timers.due = time;
    due.try_emplace({time, pool.id}, &pool);
  }
  void ErasePool(const PoolEntry& pool) {
    budget.promised -= pool.planning.counted.promised;
    budget.base_and_wanted -= pool.planning.counted.base_and_wanted;
    due.erase({pool.timers.due, pool.id});
    pools.erase(std::string(pool.id));
  }

  std::string store_id;
  Lineage lineage;
  std::map<std::string, DnaEntry> dnas;    // By short name.
  std::map<std::string, PoolEntry> pools;  // By short name.
  std::map<std::string, ProviderEntry> providers;
  std::map<std::string, RememberedRequest> requests;  // By request_id; kRequestsMax at most.
  std::map<std::string, std::shared_ptr<const CompiledDna>> compiled;  // By revision name.
  ClockEntry clock;
  int64_t revision = 0;  // Of the newest event.
  int64_t decision_id = 0;
  uint64_t effect_id = 0;
  int instances = 0;
  int instances_max = 1000;
  absl::Duration save_interval = absl::Minutes(15);
  Budget budget;
  RoomEntry room;
  Scoring scoring;
  Fits fits;
  std::deque<std::string> save_queue;  // Short names of pools.
  // Of each pool; by time and short name, so that which of those due at once come first is fixed.
  absl::btree_map<std::pair<absl::Duration, std::string>, PoolEntry*> due;
  // What the next snapshot differs in; short names, also of pools that are gone.
  PoolIds changed_pools;
  // Each provider has answered since the start, if only that it cannot. One that comes later does
  // not change this.
  bool recovered = false;
  bool dnas_dirty = true;
  bool daemon_changed = true;  // The daemon's own conditions.
};

}  // namespace shadow
