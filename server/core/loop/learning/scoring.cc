#include "server/core/loop/learning/scoring.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

bool Observes(const PoolEntry& pool) {
  return pool.spec->pool.policy().mode() == v1::Policy::OBSERVE &&
         pool.record.pool().state() != v1::Pool::DELETING;
}

// The one in OBSERVE whose score is due first; nullptr: there is none, or a replay is under way.
const PoolEntry* FirstDue(const World& world) {
  if (world.scoring.effect.has_value()) return nullptr;
  const PoolEntry* first = nullptr;
  for (const auto& [id, pool] : world.pools) {
    if (!Observes(pool)) continue;
    if (first == nullptr || pool.timers.next_score < first->timers.next_score) first = &pool;
  }
  return first;
}

std::string Summary(const v1::ObserveScore& score) {
  return absl::StrFormat(
      "scored: AUTOMATIC would have met the need in %.2f%% of the steps, the base alone in %.2f%%",
      100 * score.automatic().hit_rate(), 100 * score.base_alone().hit_rate());
}

// No event: it may be another one each minute.
void SetReason(Changes& changes, PoolEntry& pool, const absl::Status& status) {
  const std::string_view what =
      absl::IsFailedPrecondition(status) ? "not enough history: " : "the replay failed: ";
  pool.record.mutable_pool()->mutable_observe_score()->set_unscored_reason(
      absl::StrCat(std::string(what), status.message()));
  changes.Show(pool);
}

}  // namespace

void ScheduleScore(PoolEntry& pool, Instant now) {
  pool.timers.next_score = now.mono + kScoreDelay;
  const v1::ObserveScore& score = pool.record.pool().observe_score();
  if (!score.has_score_time()) return;
  const absl::Duration age =
      std::max(now.wall - FromProto(score.score_time()), absl::ZeroDuration());
  pool.timers.next_score = std::max(pool.timers.next_score, now.mono + kScoreInterval - age);
}

absl::Duration NextScore(const World& world) {
  const PoolEntry* pool = FirstDue(world);
  return pool == nullptr ? absl::InfiniteDuration()
                         : std::max(pool->timers.next_score, world.scoring.not_before);
}

void ScoreNext(Changes& changes) {
  World& world = changes.world();
  const PoolEntry* pool = FirstDue(world);
  if (pool == nullptr || changes.now().mono < NextScore(world)) return;
  auto shown = std::make_shared<CompiledPool>(*pool->spec);
  *shown->pool.mutable_provisioning_lead() = pool->record.pool().provisioning_lead();
  *shown->pool.mutable_activation_lead() = pool->record.pool().activation_lead();
  if (pool->record.pool().has_balancer_slots()) {
    shown->pool.set_balancer_slots(pool->record.pool().balancer_slots());
  }
  if (pool->record.pool().has_shadow_instances_left()) {
    shown->pool.set_shadow_instances_left(pool->record.pool().shadow_instances_left());
  }
  Effect effect;
  effect.kind = Effect::Kind::kScore;
  effect.pool = std::move(shown);
  world.scoring.effect = changes.Run(std::move(effect));
  world.scoring.spec = pool->spec;
  world.scoring.begun = changes.now().mono;
}

void OnScore(Changes& changes, PoolEntry* pool, const EffectResult& result) {
  const Instant now = changes.now();
  Scoring& scoring = changes.world().scoring;
  const bool gave_way = absl::IsCancelled(result.status);
  scoring.effect.reset();
  if (!gave_way) scoring.not_before = now.mono + kScoreRest * (now.mono - scoring.begun);
  if (pool == nullptr || scoring.spec != pool->spec || !Observes(*pool)) return;
  const bool soon = gave_way || absl::IsFailedPrecondition(result.status);
  pool->timers.next_score = now.mono + (soon ? kScoreRetry : kScoreInterval);
  if (gave_way) return;
  if (!result.status.ok()) return SetReason(changes, *pool, result.status);
  v1::ObserveScore& score = *pool->record.mutable_pool()->mutable_observe_score();
  score = result.score;
  *score.mutable_score_time() = ToProto(now.wall);
  changes.Put(*pool, v1::Event::UPDATED, Summary(score));
}

}  // namespace shadow
