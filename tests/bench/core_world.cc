#include "tests/bench/core_world.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <functional>
#include <numbers>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/loop/demand.h"
#include "server/core/time_proto.h"
#include "tests/bench/warm_forecaster.h"

namespace shadow::bench {
namespace {

// A step boundary.
const Instant kBegin = {.wall = absl::FromUnixSeconds(1'700'006'400), .mono = absl::Hours(1)};
constexpr int kSettleRounds = 10'000'000;  // Effects in a row: more would never end.
constexpr int kLearnersMost = 96;
constexpr int kFewPools = 10;  // For so many no more learn: the runs of CTest have no more.
constexpr int kLearntSteps = 2'000'000;  // Of all learners together, about.

// 15 days; 3 of the finest grids.
int HistoryOf(absl::Duration step) {
  return static_cast<int>(absl::Hours(24) * (step < absl::Minutes(1) ? 3 : 15) / step);
}

// Pools that learn their history themselves.
int LearnersOf(absl::Duration step) {
  return std::clamp(kLearntSteps / HistoryOf(step), 1, kLearnersMost);
}

v1::Dna SmallDna() {
  v1::Dna dna;
  dna.set_name("dnas/web");
  dna.mutable_process()->add_argv("/bin/true");
  return dna;
}

v1::Pool SmallPool(int index, absl::Duration step) {
  v1::Pool pool;
  pool.set_name(absl::StrCat("pools/web-", index));
  pool.set_dna("dnas/web");
  pool.add_usage_sources()->mutable_pushed();
  *pool.mutable_step() = ToProto(step);
  *pool.add_season_lengths() = ToProto(absl::Hours(24));
  *pool.add_season_lengths() = ToProto(absl::Hours(168));
  pool.set_external_capacity(100);
  pool.set_instance_capacity(50);
  pool.mutable_policy()->set_mode(v1::Policy::AUTOMATIC);
  return pool;
}

// Of pools/web-<index>, or its short name.
int IndexOf(std::string_view pool) {
  return std::stoi(std::string(pool.substr(pool.rfind('-') + 1)));
}

Observation Seen(const std::string& id, Life life) {
  Observation seen;
  seen.id = id;
  seen.life = life;
  seen.address = "127.0.0.1:20000";
  return seen;
}

}  // namespace

double DemandAt(absl::Time time, int pool) {
  const double days = absl::ToDoubleHours(time - absl::UnixEpoch()) / 24 + pool * 0.01;
  const double wave = std::sin(2 * std::numbers::pi * days);
  const double noise = std::sin(static_cast<double>(absl::ToUnixSeconds(time) % 9973) + pool);
  return 150 + 100 * wave + 8 * noise;
}

struct CoreWorld::Learned {
  std::unique_ptr<Engine> engine;
  std::string capacity;  // Saved.
};

std::vector<CoreWorld::Learned> CoreWorld::Learn(absl::Duration step, int count) {
  const CoreWorld learners{Learners{.count = count}, step};
  std::vector<Learned> learned(static_cast<size_t>(count));
  for (const auto& [id, pool] : learners.loop_.world().pools) {
    Learned& of_pool = learned[static_cast<size_t>(IndexOf(id))];
    of_pool.engine = dynamic_cast<const Engine&>(*pool.forecaster).Clone();
    of_pool.capacity = pool.capacity->Save();
  }
  return learned;
}

const std::vector<CoreWorld::Learned>& CoreWorld::LearnedFor(absl::Duration step, int pools) {
  const bool few = pools <= kFewPools;
  if (step == absl::Seconds(1)) {
    static const std::vector<Learned> kSeconds = Learn(absl::Seconds(1), LearnersOf(step));
    return kSeconds;
  }
  if (step == absl::Minutes(1) && few) {
    static const std::vector<Learned> kFewMinutes = Learn(absl::Minutes(1), kFewPools);
    return kFewMinutes;
  }
  if (step == absl::Minutes(1)) {
    static const std::vector<Learned> kMinutes = Learn(absl::Minutes(1), LearnersOf(step));
    return kMinutes;
  }
  if (step == kStep && few) {
    static const std::vector<Learned> kFewSteps = Learn(kStep, kFewPools);
    return kFewSteps;
  }
  if (step == kStep) {
    static const std::vector<Learned> kSteps = Learn(kStep, LearnersOf(step));
    return kSteps;
  }
  throw std::runtime_error("nothing is learned at this step");
}

CoreWorld::CoreWorld(Learners learners, absl::Duration step)
    : step_(step),
      workers_(1),
      loop_({.instances_max = 100'000}),
      now_(kBegin),
      background_(std::thread::hardware_concurrency()) {
  Load(Contents(learners.count));
  LearnHistory();
  Settle(loop_.Recover(now_));
  AdvanceStep();
  while (Due()) Settle(Tick());
  AwaitFits();
}

CoreWorld::CoreWorld(const Options& options)
    : step_(options.step),
      workers_(options.threads),
      loop_({.instances_max = 100'000,
             .make_forecaster =
                 [step = options.step, pools = options.pools](const CompiledPool& pool) {
                   const auto& learned = LearnedFor(step, pools);
                   const size_t learner =
                       static_cast<size_t>(IndexOf(pool.pool.name())) % learned.size();
                   return std::make_unique<WarmForecaster>(learned[learner].engine->Clone());
                 },
             .parallel_for =
                 [this](size_t count, const std::function<void(size_t)>& part) {
                   workers_.Run(count, part);
                 }}),
      now_(kBegin),
      background_(options.threads) {
  v1::StoreContents contents = Contents(options.pools);
  const auto& learned = LearnedFor(step_, options.pools);
  for (int i = 0; i < options.pools; ++i) {
    v1::ForecasterRecord& record = *contents.add_forecasters();
    record.set_pool(contents.pools(i).pool().name());
    record.set_capacity(learned[static_cast<size_t>(i) % learned.size()].capacity);
  }
  now_ = {.wall = kBegin.wall + step_, .mono = kBegin.mono + step_};  // Where the learners are.
  Load(contents);
  Settle(loop_.Recover(now_));
  AdvanceStep();
  while (Due()) Settle(Tick());
  AwaitFits();
}

v1::StoreContents CoreWorld::Contents(int pools) const {
  const auto dna = CompileDna(SmallDna());
  if (!dna.ok()) throw std::runtime_error(dna.status().ToString());
  v1::StoreContents contents;
  *contents.add_dnas()->mutable_dna() = dna->dna;
  for (int i = 0; i < pools; ++i) {
    const auto pool = CompilePool(SmallPool(i, step_));
    if (!pool.ok()) throw std::runtime_error(pool.status().ToString());
    v1::Pool& stored = *contents.add_pools()->mutable_pool();
    stored = pool->pool;
    stored.set_dna_revision(dna->revision_name);
    stored.set_state(v1::Pool::READY);
  }
  return contents;
}

void CoreWorld::Load(const v1::StoreContents& contents) {
  const absl::Status loaded = loop_.Load(contents, now_);
  if (!loaded.ok()) throw std::runtime_error(loaded.ToString());
}

void CoreWorld::LearnHistory() {
  const int steps = HistoryOf(step_);
  std::vector<v1::Sample> history(static_cast<size_t>(steps));
  for (const auto& [id, pool] : loop_.world().pools) {
    for (int step = 0; step < steps; ++step) {
      const absl::Time time = now_.wall - (steps - step) * step_;
      v1::Sample& sample = history[static_cast<size_t>(step)];
      *sample.mutable_time() = ToProto(time);
      sample.set_value(DemandAt(time, IndexOf(id)));
    }
    loop_.Replay(pool.record.pool().name(), history);
  }
}

void CoreWorld::AdvanceStep() {
  const absl::Time boundary = StepStart(now_.wall, step_) + step_;
  const auto go = [this](absl::Time to) {
    now_ = {.wall = to, .mono = now_.mono + (to - now_.wall)};
  };
  go(boundary - step_ / 4);
  for (const auto& [id, pool] : loop_.world().pools) {
    v1::ReportUsageBatchRequest request;
    request.set_pool(pool.record.pool().name());
    v1::Sample& sample = *request.add_samples();
    *sample.mutable_time() = ToProto(now_.wall);
    sample.set_value(DemandAt(boundary, IndexOf(id) % LearnersOf(step_)));
    const auto handled = loop_.Handle(request, now_);
    if (!handled.answer.ok()) throw std::runtime_error(handled.answer.status().ToString());
  }
  go(boundary + absl::Milliseconds(1));
}

void CoreWorld::Settle(const Ready& ready) {
  std::deque<Effect> effects(ready.effects.begin(), ready.effects.end());
  for (int round = 0; !effects.empty(); ++round) {
    if (round == kSettleRounds) throw std::runtime_error("the effects do not come to an end");
    const Effect effect = std::move(effects.front());
    effects.pop_front();
    if (effect.kind == Effect::Kind::kFit) {
      BeginFit(effect);
      continue;
    }
    const Ready more = loop_.OnResult(Answer(effect), now_);
    effects.insert(effects.end(), more.effects.begin(), more.effects.end());
  }
}

void CoreWorld::BeginFit(const Effect& effect) {
  ++fits_;
  ++fits_under_way_;
  background_.Post([this, id = effect.id, fit = effect.fit] {
    fit->work->Run();
    EffectResult result;
    result.id = id;
    result.fit = fit;
    const std::lock_guard lock(mutex_);
    fits_made_.push_back(std::move(result));
    made_.notify_one();
  });
}

absl::Duration CoreWorld::AwaitFits() {
  absl::Duration longest;
  while (fits_under_way_ > 0) {
    std::unique_lock lock(mutex_);
    made_.wait(lock, [this] { return !fits_made_.empty(); });
    const EffectResult result = std::move(fits_made_.front());
    fits_made_.pop_front();
    lock.unlock();
    --fits_under_way_;
    const auto begin = std::chrono::steady_clock::now();
    const Ready ready = loop_.OnResult(result, now_);
    longest = std::max(longest, absl::FromChrono(std::chrono::steady_clock::now() - begin));
    Settle(ready);
  }
  return longest;
}

int64_t CoreWorld::LearnedBytes() const {
  int64_t bytes = 0;
  for (const auto& [id, pool] : loop_.world().pools) {
    bytes += dynamic_cast<const WarmForecaster&>(*pool.forecaster).engine().StateBytes() +
             static_cast<int64_t>(pool.capacity->StateBytes());
  }
  return bytes;
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
  result.differences.emplace();
  result.observation = Seen(id, life == lives_.end() ? Life::kAbsent : life->second);
  return result;
}

}  // namespace shadow::bench
