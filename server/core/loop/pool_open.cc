#include "server/core/loop/pool_open.h"

#include <algorithm>
#include <utility>

#include "server/core/leads/pool_leads.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/learning/backfill.h"
#include "server/core/loop/learning/scoring.h"
#include "server/core/loop/planning.h"
#include "server/core/planner.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

// In [0, 1): spreads what all pools would else do at the same tick.
double PhaseOf(const std::string& id) {
  unsigned sum = 0;
  for (const char c : id) sum = sum * 31 + static_cast<unsigned char>(c);
  return sum % 1024 / 1024.0;
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

}  // namespace

void AddProvider(World& world, std::shared_ptr<const CompiledProvider> provider,
                 absl::Duration now) {
  const auto [entry, added] = world.providers.try_emplace(provider->key);
  if (!added) return;
  entry->second.provider = std::move(provider);
  entry->second.next_list = now;
  world.daemon_changed = true;
}

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
  LearnLeads(pool);
  OpenForecasts(pool);
  pool.timers.opened = now.mono;
  pool.timers.next_activation = now.mono;
  pool.timers.next_size = StepStart(now.wall, pool.spec->step) + pool.spec->step;
  pool.timers.next_view = now.mono;
  pool.timers.next_save = now.mono + kFirstSave * (1 + PhaseOf(pool.id));
  world.SetDue(pool, now.mono);
  ScheduleScore(pool, now);
  AddProvider(world, pool.spec->provider, now.mono);
}

void ResumePool(Changes& changes, PoolEntry& pool) {
  const absl::Time now = changes.now().wall;
  BeginLearning(changes, pool);
  if (!Sized(pool, now)) pool.timers.next_size = now;
  v1::PlannerState& planner = *pool.record.mutable_planner();
  if (!planner.has_size_time()) return;
  // It wrote every step, so it lived no longer than one more; then it was ticks up to the last.
  const absl::Time lived = FromProto(planner.size_time()) + pool.spec->step;
  ResumeWants(planner, std::min(DecisionTick(pool, now - absl::Nanoseconds(1)), lived));
}

}  // namespace shadow
