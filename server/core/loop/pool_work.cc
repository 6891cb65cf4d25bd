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

namespace shadow {
namespace {

void PlanEndedStep(PoolEntry& pool, Instant now) {
  CloseSteps(pool, now.wall, now.wall);
  const absl::Duration provisioning = ProvisioningLeadNow(pool, now.wall);
  const absl::Duration activation = ActivationLead(pool);
  if (pool.capacity->SetLead(provisioning + activation)) {
    pool.next_save = absl::ZeroDuration();  // Else a restart would begin again elsewhere.
  }
  pool.early_rise = EarlyRiseOf(pool, now.wall, provisioning, activation);
  pool.outlook = OutlookAt(pool, DecisionTick(pool, now.wall), activation);
}

// The first pools of a queue, up to `count` of those that wait in it: each once, though the queue
// may name a pool that was deleted meanwhile, or one more time if it was made anew.
std::vector<PoolEntry*> TakeFrom(World& world, std::deque<std::string>& queue,
                                 bool PoolEntry::*queued, size_t count) {
  std::vector<PoolEntry*> pools;
  for (; pools.size() < count && !queue.empty(); queue.pop_front()) {
    const auto found = world.pools.find(queue.front());
    if (found == world.pools.end() || !std::exchange(found->second.*queued, false)) continue;
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
  });
  for (PoolEntry* pool : pools) {
    if (pool->record.planner().late_steps().empty()) continue;
    pool->record.mutable_planner()->clear_late_steps();  // They are in it.
    changes.Keep(*pool);
  }
}

}  // namespace

void OneByOne(size_t count, const std::function<void(size_t)>& part) {
  for (size_t i = 0; i < count; ++i) part(i);
}

void PlanEndedSteps(std::span<PoolEntry* const> pools, Instant now,
                    const ParallelFor& parallel_for) {
  std::vector<PoolEntry*> ending;
  for (PoolEntry* pool : pools) {
    if (StepIsOver(*pool, now.wall)) ending.push_back(pool);
  }
  parallel_for(ending.size(), [&](size_t i) { PlanEndedStep(*ending[i], now); });
}

void CloseAllSteps(World& world, absl::Time now, const ParallelFor& parallel_for) {
  std::vector<PoolEntry*> pools;
  for (auto& [id, pool] : world.pools) pools.push_back(&pool);
  parallel_for(pools.size(), [&](size_t i) { CloseSteps(*pools[i], now, now); });
}

void QueueFit(World& world, PoolEntry& pool) {
  if (pool.fit_queued || !pool.forecaster->FitDue()) return;
  pool.fit_queued = true;
  world.fit_queue.push_back(pool.id);
}

void QueueSave(World& world, PoolEntry& pool) {
  if (pool.save_queued) return;
  pool.save_queued = true;
  world.save_queue.push_back(pool.id);
}

void FitNext(World& world, int fits_max, const ParallelFor& parallel_for) {
  for (size_t left = static_cast<size_t>(fits_max); left > 0 && !world.fit_queue.empty();) {
    std::vector<PoolEntry*> pools = TakeFrom(world, world.fit_queue, &PoolEntry::fit_queued, left);
    std::erase_if(pools, [](const PoolEntry* pool) { return !pool->forecaster->FitDue(); });
    parallel_for(pools.size(), [&](size_t i) { pools[i]->forecaster->Fit(); });
    for (PoolEntry* pool : pools) {
      pool->next_save = absl::ZeroDuration();  // Else a restart would make two fits.
      --left;
    }
  }
}

void SaveNext(Changes& changes, const ParallelFor& parallel_for) {
  const std::vector<PoolEntry*> pools =
      TakeFrom(changes.world(), changes.world().save_queue, &PoolEntry::save_queued, kSavesPerTick);
  Save(changes, pools, parallel_for);
}

void SaveNow(Changes& changes, PoolEntry& pool) {
  PoolEntry* const pools[] = {&pool};
  Save(changes, pools, OneByOne);
}

}  // namespace shadow
