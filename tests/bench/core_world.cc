#include "tests/bench/core_world.h"

#include <cmath>
#include <deque>
#include <numbers>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/loop/demand.h"
#include "server/core/time_proto.h"

namespace shadow::bench {
namespace {

constexpr int64_t kBeginSeconds = 1'700'006'400;  // A step boundary.
constexpr int kSettleRounds = 100'000;            // Effects in a row: more would never end.

v1::Dna SmallDna() {
  v1::Dna dna;
  dna.set_name("dnas/web");
  dna.mutable_process()->add_argv("/bin/true");
  return dna;
}

v1::Pool SmallPool(int index) {
  v1::Pool pool;
  pool.set_name(absl::StrCat("pools/web-", index));
  pool.set_dna("dnas/web");
  pool.add_usage_sources()->mutable_pushed();
  *pool.mutable_step() = ToProto(kStep);
  *pool.add_season_lengths() = ToProto(absl::Hours(24));
  *pool.add_season_lengths() = ToProto(absl::Hours(168));
  pool.set_external_capacity(100);
  pool.set_instance_capacity(50);
  pool.mutable_policy()->set_mode(v1::Policy::AUTOMATIC);
  return pool;
}

// With the facts of the small DNA, which asks for nothing but the daemon's own user.
Observation Seen(const std::string& id, Life life) {
  Observation seen;
  seen.id = id;
  seen.life = life;
  seen.address = "127.0.0.1:20000";
  seen.facts.emplace();
  seen.facts->uid = 1;
  seen.facts->wanted_uid = 1;
  return seen;
}

}  // namespace

double DemandAt(absl::Time time, int pool) {
  const double days = absl::ToDoubleHours(time - absl::UnixEpoch()) / 24 + pool * 0.01;
  const double wave = std::sin(2 * std::numbers::pi * days);
  const double noise = std::sin(static_cast<double>(absl::ToUnixSeconds(time) % 9973) + pool);
  return 150 + 100 * wave + 8 * noise;
}

CoreWorld::CoreWorld(int pools)
    : loop_({.instances_max = 100'000}),
      now_{.wall = absl::FromUnixSeconds(kBeginSeconds), .mono = absl::Hours(1)} {
  LoadPools(pools);
  for (Forecaster* forecaster : loop_.DueFits()) forecaster->Fit();
  Settle(loop_.Recover(now_));
  AdvanceStep();
  Settle(Tick());
}

void CoreWorld::LoadPools(int pools) {
  const auto dna = CompileDna(SmallDna());
  if (!dna.ok()) throw std::runtime_error(dna.status().ToString());
  v1::StoreContents contents;
  *contents.add_dnas()->mutable_dna() = dna->dna;
  for (int i = 0; i < pools; ++i) {
    const auto pool = CompilePool(SmallPool(i));
    if (!pool.ok()) throw std::runtime_error(pool.status().ToString());
    v1::Pool& stored = *contents.add_pools()->mutable_pool();
    stored = pool->pool;
    stored.set_dna_revision(dna->revision_name);
    stored.set_state(v1::Pool::READY);
  }
  const absl::Status loaded = loop_.Load(contents, now_);
  if (!loaded.ok()) throw std::runtime_error(loaded.ToString());
  std::vector<v1::Sample> history(kHistorySteps);
  for (int i = 0; i < pools; ++i) {
    for (int step = 0; step < kHistorySteps; ++step) {
      const absl::Time time = now_.wall - (kHistorySteps - step) * kStep;
      v1::Sample& sample = history[static_cast<size_t>(step)];
      *sample.mutable_time() = ToProto(time);
      sample.set_value(DemandAt(time, i));
    }
    loop_.Replay(contents.pools(i).pool().name(), history);
  }
}

void CoreWorld::AdvanceStep() {
  const absl::Time boundary = StepStart(now_.wall, kStep) + kStep;
  const absl::Duration passes = boundary + absl::Milliseconds(1) - now_.wall;
  now_ = {.wall = now_.wall + passes, .mono = now_.mono + passes};
  int index = 0;
  for (const auto& [id, pool] : loop_.world().pools) {
    v1::ReportUsageBatchRequest request;
    request.set_pool(pool.record.pool().name());
    v1::Sample& sample = *request.add_samples();
    *sample.mutable_time() = ToProto(boundary - absl::Seconds(1));
    sample.set_value(DemandAt(boundary, index++));
    const auto handled = loop_.Handle(request, now_);
    if (!handled.answer.ok()) throw std::runtime_error(handled.answer.status().ToString());
  }
}

void CoreWorld::Settle(const Ready& ready) {
  std::deque<Effect> effects(ready.effects.begin(), ready.effects.end());
  for (int round = 0; !effects.empty(); ++round) {
    if (round == kSettleRounds) throw std::runtime_error("the effects do not come to an end");
    const Effect effect = std::move(effects.front());
    effects.pop_front();
    const Ready more = loop_.OnResult(Answer(effect), now_);
    effects.insert(effects.end(), more.effects.begin(), more.effects.end());
  }
}

void CoreWorld::Rest() {
  while (loop_.NextTick() <= now_.mono) Settle(Tick());
}

EffectResult CoreWorld::Answer(const Effect& effect) {
  const std::string& id = effect.instance.id;
  EffectResult result;
  result.id = effect.id;
  switch (effect.kind) {
    case Effect::Kind::kListInstances:
      for (const auto& [listed, life] : lives_) {
        result.instances.push_back(Seen(listed, life));
      }
      return result;
    case Effect::Kind::kSuspend:
      lives_[id] = Life::kSuspended;
      break;
    case Effect::Kind::kDestroy:
    case Effect::Kind::kKill:
      lives_.erase(id);
      break;
    default:
      lives_[id] = Life::kRunning;
  }
  const auto life = lives_.find(id);
  result.ready = true;
  result.observation = Seen(id, life == lives_.end() ? Life::kAbsent : life->second);
  return result;
}

}  // namespace shadow::bench
