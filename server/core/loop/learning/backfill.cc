#include "server/core/loop/learning/backfill.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/learning/fits.h"
#include "server/core/loop/pool_open.h"
#include "server/core/loop/pool_work.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using Batch = v1::ReportUsageBatchRequest;

std::string TimeText(absl::Time time) { return absl::FormatTime(time, absl::UTCTimeZone()); }

// The begin of the first step that the forecaster has not been given.
absl::Time Unclosed(const PoolEntry& pool) {
  if (pool.demand.open_step.count > 0) return pool.demand.open_step.start;
  const absl::Time last = pool.forecaster->LastStep();
  return last == absl::InfinitePast() ? last : last + pool.spec->step;
}

}  // namespace

absl::StatusOr<int> TakeHistory(Changes& changes, PoolEntry& pool, const Samples& samples,
                                Batch::Overlap overlap, bool validate_only) {
  const absl::Status checked =
      CheckSamples(pool, samples, changes.now().wall, "samples", absl::InfinitePast());
  if (!checked.ok()) return checked;
  // Without samples all are new.
  const absl::Time first = pool.record.has_first_sample_time()
                               ? FromProto(pool.record.first_sample_time())
                               : absl::InfinitePast();
  Samples before;
  Samples after;
  for (int i = 0; i < samples.size(); ++i) {
    const absl::Time time = FromProto(samples[i].time());
    if (time < first) {
      *before.Add() = samples[i];
    } else if (time > pool.demand.last_sample) {
      *after.Add() = samples[i];
    } else if (overlap == Batch::FAIL) {
      return FieldError(
          absl::StrCat("samples[", i, "].time"),
          absl::StrCat(TimeText(time), " is not before the oldest sample, ", TimeText(first),
                       ", nor after the newest, ", TimeText(pool.demand.last_sample),
                       "; overlap SKIP leaves such samples out"));
    }
  }
  const int taken = before.size() + after.size();
  if (validate_only) return taken;
  if (!before.empty()) {
    v1::SampleBatch& batch = *changes.batch().add_samples();
    batch.set_pool(pool.record.pool().name());
    batch.mutable_samples()->Swap(&before);
    *pool.record.mutable_first_sample_time() = batch.samples(0).time();
    pool.record.set_learn_again(true);
    changes.Keep(pool);
    if (pool.learning.learn_effect.has_value())
      pool.learning.steps_meanwhile_lost = true;  // It may not see these.
    BeginLearning(changes, pool);
  }
  Ingest(changes, pool, after);
  return taken;
}

void BeginLearning(Changes& changes, PoolEntry& pool) {
  if (!pool.record.learn_again() || pool.learning.learn_effect.has_value()) return;
  pool.learning.steps_meanwhile.clear();
  pool.learning.steps_meanwhile_lost = false;
  auto learner = std::make_shared<PoolEntry>();
  learner->id = pool.id;
  learner->record = pool.record;
  learner->spec = pool.spec;
  Effect effect;
  effect.kind = Effect::Kind::kLearn;
  effect.pool = pool.spec;
  effect.learner = std::move(learner);
  effect.until = std::min(Unclosed(pool), StepStart(changes.now().wall, pool.spec->step));
  pool.learning.learn_effect = changes.Run(std::move(effect));
}

EffectResult LearnAgain(const Effect& effect, const ReadSamples& read) {
  EffectResult result;
  result.id = effect.id;
  result.learner = effect.learner;
  PoolEntry& learner = *effect.learner;
  OpenForecasts(learner);
  const absl::Time until = effect.until - absl::Nanoseconds(1);
  const absl::Duration step = FromProto(learner.record.pool().step());
  for (absl::Time after = absl::InfinitePast();;) {
    const auto page = read(learner.record.pool().name(), after, until, step, kLearnPage);
    result.status = page.status();
    if (!page.ok() || page->empty()) break;
    Replay(learner, Samples(page->begin(), page->end()));
    after = FromProto(page->back().time());
  }
  CloseReplayed(learner, effect.until);
  return result;
}

void OnLearned(Changes& changes, PoolEntry& pool, const EffectResult& result) {
  if (pool.learning.learn_effect != result.id) return;
  pool.learning.learn_effect.reset();
  if (!result.status.ok()) return;  // The next step tries again.
  if (pool.learning.steps_meanwhile_lost) return BeginLearning(changes, pool);
  PoolEntry& learner = *result.learner;
  *learner.record.mutable_planner() = pool.record.planner();
  for (const OpenStep& step : std::exchange(pool.learning.steps_meanwhile, {})) {
    learner.demand.open_step = step;
    CloseReplayed(learner, step.start + pool.spec->step);
  }
  pool.forecaster = std::move(learner.forecaster);
  pool.capacity = std::move(learner.capacity);
  // In between it may have been given another spec.
  if (pool.spec != learner.spec) OpenForecasts(pool);
  pool.record.set_learn_again(false);
  changes.Keep(pool);
  SaveNow(changes, pool);  // Both at once: what is saved agrees with the samples.
  QueueFit(changes.world(), pool);
  changes.world().SetDue(pool, changes.now().mono);
}

}  // namespace shadow
