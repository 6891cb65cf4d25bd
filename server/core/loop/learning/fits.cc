#include "server/core/loop/learning/fits.h"

#include <utility>

#include "server/core/check.h"
#include "server/core/loop/demand.h"

namespace shadow {
namespace {

// When the fit that is due counts, as far as it is near: the next two steps.
absl::Time CountsAt(const PoolEntry& pool) {
  const absl::Time last = pool.forecaster->LastStep();
  const absl::Duration step = pool.spec->step;
  if (pool.forecaster->AwaitsFit(last)) return last;
  return pool.forecaster->AwaitsFit(last + step) ? last + step : last + 2 * step;
}

}  // namespace

void QueueFit(World& world, PoolEntry& pool) {
  if (pool.learning.fit_queued.has_value() || pool.learning.fit_effect.has_value() ||
      !pool.forecaster->FitDue()) {
    return;
  }
  pool.learning.fit_queued = CountsAt(pool);
  world.fits.waiting.emplace(*pool.learning.fit_queued, pool.id);
}

void BeginFits(Changes& changes) {
  Fits& fits = changes.world().fits;
  while (fits.in_flight < kFitsInFlightMax && !fits.waiting.empty()) {
    const auto [counts, id] = *fits.waiting.begin();
    fits.waiting.erase(fits.waiting.begin());
    const auto found = changes.world().pools.find(id);
    // It may be gone, or made anew.
    if (found == changes.world().pools.end() || found->second.learning.fit_queued != counts)
      continue;
    PoolEntry& pool = found->second;
    pool.learning.fit_queued.reset();
    std::unique_ptr<FitWork> work = pool.forecaster->BeginFit();
    if (work == nullptr) continue;
    Effect effect;
    effect.kind = Effect::Kind::kFit;
    effect.pool = pool.spec;
    effect.fit = std::make_shared<FitTask>(FitTask{.work = std::move(work)});
    pool.learning.fit_effect = changes.Run(std::move(effect));
    ++fits.in_flight;
  }
}

bool AwaitsFit(const PoolEntry& pool, absl::Time now) {
  if (!pool.learning.fit_queued.has_value() && !pool.learning.fit_effect.has_value()) return false;
  const OpenStep& open = pool.demand.open_step;
  const bool closes = open.count > 0 && open.start < StepStart(now, pool.spec->step);
  return pool.forecaster->AwaitsFit(closes ? open.start : pool.forecaster->LastStep());
}

void OnFit(Changes& changes, PoolEntry* pool, const EffectResult& result) {
  CHECK(changes.world().fits.in_flight > 0);
  --changes.world().fits.in_flight;
  if (pool != nullptr && pool->learning.fit_effect == result.id) {
    pool->learning.fit_effect.reset();
    pool->forecaster->FinishFit(std::move(result.fit->work));
    QueueFit(changes.world(), *pool);
    if (std::exchange(pool->learning.awaits_fit, false)) {
      changes.world().SetDue(*pool, changes.now().mono);
    }
  }
  BeginFits(changes);
}

}  // namespace shadow
