#include "server/core/loop/pool_work.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "server/core/leads/creation_waves.h"
#include "server/core/leads/pool_leads.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/planning.h"
#include "server/core/planner.h"

namespace shadow {
namespace {

void PlanEndedStep(PoolEntry& pool, Instant now) {
  CloseSteps(pool, now.wall, now.wall);
  const absl::Duration provisioning = ProvisioningLeadNow(pool, now.wall);
  const absl::Duration activation = ActivationLead(pool);
  if (pool.capacity->SetLead(provisioning + activation)) {
    pool.timers.next_save = absl::ZeroDuration();  // Else a restart would begin again elsewhere.
  }
  ShowLeads(pool, *pool.record.mutable_pool());
  TrustVerdict verdict = pool.forecaster->Trust();
  const ForecastTrust trust = verdict.trust;
  pool.planning.trust = TrustAt(pool, now.wall, std::move(verdict));
  pool.planning.early_rise = EarlyRiseOf(pool, now.wall, trust, provisioning, activation);
  pool.planning.outlook = OutlookAt(pool, DecisionTick(pool, now.wall), trust, activation);
  pool.planning.size_decision = Decide(v1::Decision::SIZE, InputsNow(pool, now.wall), now.wall);
}

// The first pools of those that wait for a save: each once, though the queue may name a pool that
// was deleted meanwhile, or one more time if it was made anew.
std::vector<PoolEntry*> TakeSaves(World& world) {
  std::vector<PoolEntry*> pools;
  std::deque<std::string>& queue = world.save_queue;
  for (; pools.size() < kSavesPerTick && !queue.empty(); queue.pop_front()) {
    const auto found = world.pools.find(queue.front());
    if (found == world.pools.end() || !std::exchange(found->second.learning.save_queued, false))
      continue;
    pools.push_back(&found->second);
  }
  return pools;
}

void Save(Changes& changes, std::span<PoolEntry* const> pools, const ParallelFor& parallel_for) {
  std::vector<v1::ForecasterRecord*> records;
  for (size_t i = 0; i < pools.size(); ++i) {
    records.push_back(changes.batch().add_put_forecasters());
  }
  parallel_for(pools.size(), [&](size_t i) {
    records[i]->set_pool(pools[i]->record.pool().name());
    records[i]->set_state(pools[i]->forecaster->Save());
    records[i]->set_capacity(pools[i]->capacity->Save());
    records[i]->set_fits(pools[i]->forecaster->SaveFits());
  });
  for (PoolEntry* pool : pools) {
    if (pool->record.planner().late_steps().empty()) continue;
    pool->record.mutable_planner()->clear_late_steps();  // They are in it.
    changes.Keep(*pool);
  }
}

}  // namespace

void PlanEndedSteps(std::span<PoolEntry* const> pools, Instant now,
                    const ParallelFor& parallel_for) {
  std::vector<PoolEntry*> ending;
  for (PoolEntry* pool : pools) {
    if (StepIsOver(*pool, now.wall) && !pool->learning.awaits_fit) ending.push_back(pool);
  }
  parallel_for(ending.size(), [&](size_t i) { PlanEndedStep(*ending[i], now); });
}

void CloseAllSteps(World& world, absl::Time now, const ParallelFor& parallel_for) {
  std::vector<PoolEntry*> pools;
  for (auto& [id, pool] : world.pools) pools.push_back(&pool);
  parallel_for(pools.size(), [&](size_t i) { CloseSteps(*pools[i], now, now); });
}

void QueueSave(World& world, PoolEntry& pool) {
  if (pool.learning.save_queued) return;
  pool.learning.save_queued = true;
  world.save_queue.push_back(pool.id);
}

void SaveNext(Changes& changes, const ParallelFor& parallel_for) {
  Save(changes, TakeSaves(changes.world()), parallel_for);
}

void SaveNow(Changes& changes, PoolEntry& pool) {
  PoolEntry* const pools[] = {&pool};
  Save(changes, pools, OneByOne);
}

}  // namespace shadow
