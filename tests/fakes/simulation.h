// The control loop in a world of fakes on a manual clock: every run repeats. It can be killed after
// any of its inputs, also while it recovers; store, instances and balancers outlive it.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "server/core/effects/carry_out.h"
#include "server/core/loop/control_loop.h"
#include "server/core/loop/learning/backfill.h"
#include "server/core/loop/pool_open.h"
#include "server/core/time_proto.h"
#include "tests/fakes/fake_balancer.h"
#include "tests/fakes/fake_prober.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/fake_usage_source.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/store_image.h"

namespace shadow {

// One thread. Throws where the loop does not come to rest or its own records do not load.
class Simulation {
 public:
  struct Options {
    absl::Duration latency = absl::Milliseconds(10);  // Of every effect.
    absl::Duration second_provider_latency = absl::Milliseconds(10);
    absl::Duration list_latency = absl::Milliseconds(10);  // Of a list of all instances.
    // Of a warm-up; one that is cancelled ends at once.
    absl::Duration warm_up_latency = absl::Milliseconds(10);
    absl::Duration score_latency = absl::Milliseconds(10);  // Of a replay.
    int instances_max = 1000;
    // From a batch until it is durable: zero, at once. Effects and answers wait for it.
    absl::Duration commit_latency = absl::ZeroDuration();
    bool effects_twice = false;  // Each is carried out a second time, and that result counts.
    // Of the next fit, on a background worker.
    std::function<absl::Duration()> fit_latency = [] { return absl::Milliseconds(10); };
    std::function<void(FitWork&)> run_fit = [](FitWork& work) { work.Run(); };
    ParallelFor parallel_for = OneByOne;
  };

  // What becomes of the effects that were under way when the daemon was killed.
  enum class UnderWay { kDone, kNotDone, kEverySecond };

  Simulation() : Simulation(Options{}) {}
  explicit Simulation(Options options) : options_(options) { Start(); }

  FakeProvider provider;
  FakeProvider second_provider;  // Of pools that were moved to it.
  FakeProber prober;
  FakeUsageSource usage;
  std::map<std::string, FakeBalancer> balancers;  // By pool name.
  std::function<void()> while_down;               // Before each start after a kill.
  // What comes of a replay that scores a pool in OBSERVE.
  std::function<absl::StatusOr<v1::ObserveScore>(const v1::Pool&)> score = [](const v1::Pool&) {
    return absl::FailedPreconditionError("no history");
  };

  Instant now() const { return clock_.Now(); }
  void SetWall(absl::Time wall) { clock_.SetWall(wall); }
  void SetRoom(const DiskRoom& room) {
    Revive();
    Apply(loop_->OnRoom(room, now()));
  }
  // As if the provider had said that this instance may have changed.
  void Hint(const std::string& id) {
    Revive();
    Apply(loop_->OnHints({id}, now()));
  }
  void SetInstancesMax(int instances_max) {
    Revive();
    Apply(loop_->OnInstancesMax(instances_max, now()));
  }
  // As if the pool's spec named a second provider. No spec can: there is one kind, and one of it.
  // Before the pool's first instance; until it is updated or the daemon killed.
  void MoveToSecondProvider(const std::string& pool_id) {
    Revive();
    World& world = const_cast<World&>(loop_->world());
    PoolEntry& pool = world.pools.at(pool_id);
    auto second = std::make_shared<CompiledProvider>(*pool.spec->provider);
    second->key = kSecondProvider;
    auto spec = std::make_shared<CompiledPool>(*pool.spec);
    spec->provider = second;
    pool.spec = std::move(spec);
    AddProvider(world, std::move(second), now().mono);
  }
  const World& world() const { return loop_->world(); }
  ControlLoop& loop() { return *loop_; }
  const StoreImage& store() const { return store_; }
  // As if a person had put another copy of the store into place; only in `while_down`.
  void PutBack(StoreImage store) { store_ = std::move(store); }
  int inputs() const { return inputs_; }
  int starts() const { return starts_; }

  // The daemon is killed once the batch of its `input`-th input, counted from the first start, is
  // durable, and those of later ones are lost; it starts again at the next Call or Run. Each start
  // is an input too: Recover's batch. Several may be set: that after a kill's is the recovery from
  // it.
  void KillAfter(int input, UnderWay under_way) { kills_[input] = under_way; }

  // kUnavailable: it was killed before the answer went out.
  Answer Call(const Request& request) {
    Revive();
    ControlLoop::Handled handled = loop_->Handle(request, now());
    Apply(std::move(handled.ready));
    if (!commits_.empty()) {
      const int64_t asked = asked_;
      const int start = starts_;
      RunUntil([&] { return durable_ >= asked || starts_ != start; }, absl::Hours(1));
      if (starts_ != start) return absl::UnavailableError("killed");
    }
    if (killed_) return absl::UnavailableError("killed");
    return std::move(handled.answer);
  }

  void Run(absl::Duration span) {
    RunUntil([] { return false; }, span);
  }

  // Goes on until `condition`, which is asked after each input, or for `limit`; returns whether it
  // held.
  bool RunUntil(const std::function<bool()>& condition, absl::Duration limit) {
    const absl::Duration end = now().mono + limit;
    for (int at_once = 0;;) {
      Revive();
      if (condition()) return true;
      const absl::Duration next = std::min({NextCommit(), NextEffect(), loop_->NextTick()});
      if (next > end) break;
      if (next > now().mono) {
        clock_.Advance(next - now().mono);
        at_once = 0;
      } else if (++at_once > kInputsAtOnceMax) {
        throw std::runtime_error("the loop does not come to rest");
      }
      if (NextCommit() <= now().mono) {
        FinishCommit();
      } else if (NextEffect() <= now().mono) {
        FinishEffect();
      } else {
        Apply(loop_->Tick(now()));
      }
    }
    clock_.Advance(end - now().mono);
    return condition();
  }

  // Instances that get new traffic and do not run: always empty, but for those that a test ended.
  std::vector<std::string> MisledTraffic() {
    std::map<std::string, Life> lives;
    const auto seen = provider.List();
    for (const Observation& one : *seen) lives[one.address] = one.life;
    std::vector<std::string> misled;
    for (auto& [name, balancer] : balancers) {
      const auto view = balancer.View();
      for (const BalancerMember& member : view->members) {
        if (member.weight_percent == 0 || member.draining) continue;
        const auto life = lives.find(member.address);
        if (life == lives.end() || life->second != Life::kRunning) misled.push_back(member.address);
      }
    }
    return misled;
  }

 private:
  static constexpr int kInputsAtOnceMax = 10'000;
  static constexpr char kSecondProvider[] = "second";  // Its key.

  struct UnderWayCommit {
    absl::Duration due;
    Ready ready;
  };
  struct UnderWayEffect {
    absl::Duration due;
    Effect effect;
  };

  void Start() {
    loop_ = std::make_unique<ControlLoop>(ControlLoop::Options{
        .instances_max = options_.instances_max, .parallel_for = options_.parallel_for});
    ++starts_;
    const absl::Status loaded = loop_->Load(store_.Contents(), now());
    if (!loaded.ok()) throw std::runtime_error(loaded.ToString());
    for (Forecaster* forecaster : loop_->LostFits()) forecaster->Fit();
    for (const auto& [pool, samples] : store_.samples()) {
      const absl::Time from = loop_->ReplayFrom(pool);
      std::vector<v1::Sample> rest;
      for (const v1::Sample& sample : samples) {
        const absl::Time time = FromProto(sample.time());
        if (time > from && time <= now().wall) rest.push_back(sample);
      }
      loop_->Replay(pool, rest);
    }
    for (Forecaster* forecaster : loop_->LostFits()) forecaster->Fit();
    Apply(loop_->Recover(now()));
  }

  void Revive() {
    while (std::exchange(killed_, false)) {
      if (while_down) while_down();
      Start();
    }
  }

  // As the daemon does: in the order of the inputs, also those that change nothing.
  void Apply(Ready ready) {
    ++asked_;
    commits_.push_back({now().mono + options_.commit_latency, std::move(ready)});
    if (options_.commit_latency == absl::ZeroDuration()) FinishCommit();
  }

  absl::Duration NextCommit() const {
    return commits_.empty() ? absl::InfiniteDuration() : commits_.front().due;
  }

  void FinishCommit() {
    const Ready ready = std::move(commits_.front().ready);
    commits_.pop_front();
    ++durable_;
    store_.Apply(ready.batch);
    for (const Effect& effect : ready.effects) {
      under_way_effects_.push_back({now().mono + Latency(effect), effect});
    }
    for (UnderWayEffect& one : under_way_effects_) {
      const bool cancelled =
          std::count(ready.cancelled.begin(), ready.cancelled.end(), one.effect.id) > 0;
      if (cancelled && one.effect.kind == Effect::Kind::kWarmUp) one.due = now().mono;
    }
    const auto kill = kills_.find(++inputs_);
    if (kill == kills_.end()) return;
    killed_ = true;
    bool done = kill->second == UnderWay::kDone;
    for (const UnderWayEffect& one : under_way_effects_) {
      if (kill->second == UnderWay::kEverySecond) done = !done;
      if (done) Carry(one.effect);
    }
    under_way_effects_.clear();
    commits_.clear();
    asked_ = durable_;
  }

  static bool IsOfSecond(const Effect& effect) {
    return effect.provider != nullptr && effect.provider->key == kSecondProvider;
  }

  absl::Duration Latency(const Effect& effect) const {
    const Effect::Kind kind = effect.kind;
    if (IsOfSecond(effect)) return options_.second_provider_latency;
    if (kind == Effect::Kind::kListInstances) return options_.list_latency;
    if (kind == Effect::Kind::kScore) return options_.score_latency;
    if (kind == Effect::Kind::kFit) return options_.fit_latency();
    return kind == Effect::Kind::kWarmUp ? options_.warm_up_latency : options_.latency;
  }

  absl::Duration NextEffect() const {
    absl::Duration next = absl::InfiniteDuration();
    for (const UnderWayEffect& one : under_way_effects_) next = std::min(next, one.due);
    return next;
  }

  void FinishEffect() {
    const auto first = std::min_element(
        under_way_effects_.begin(), under_way_effects_.end(),
        [](const UnderWayEffect& a, const UnderWayEffect& b) { return a.due < b.due; });
    const Effect effect = std::move(first->effect);
    under_way_effects_.erase(first);
    if (options_.effects_twice && effect.kind != Effect::Kind::kFit &&
        effect.kind != Effect::Kind::kLearn) {
      Carry(effect);
    }
    Apply(loop_->OnResult(Carry(effect), now()));
  }

  EffectResult Carry(const Effect& effect) {
    if (effect.kind == Effect::Kind::kLearn) {
      return LearnAgain(effect, [this](const std::string& pool, absl::Time after, absl::Time until,
                                       absl::Duration /*coarsest*/, int64_t limit) {
        return store_.ReadSamples(pool, after, until, limit);
      });
    }
    EffectResult result;
    result.id = effect.id;
    if (effect.kind == Effect::Kind::kFit) {
      options_.run_fit(*effect.fit->work);
      result.fit = effect.fit;
      return result;
    }
    if (effect.kind == Effect::Kind::kScore) {
      auto scored = score(effect.pool->pool);
      result.status = scored.status();
      if (scored.ok()) result.score = *std::move(scored);
      return result;
    }
    Balancer* balancer = effect.pool ? &balancers[effect.pool->pool.name()] : nullptr;
    FakeProvider& at = IsOfSecond(effect) ? second_provider : provider;
    return CarryOut(
        effect, {.provider = &at, .balancer = balancer, .usage = &usage, .prober = &prober}, {});
  }

  const Options options_;
  ManualClock clock_;
  StoreImage store_;
  std::unique_ptr<ControlLoop> loop_;
  std::deque<UnderWayCommit> commits_;  // Not durable yet.
  int64_t asked_ = 0;                   // Batches so far, without those that were lost.
  int64_t durable_ = 0;
  std::vector<UnderWayEffect> under_way_effects_;
  int inputs_ = 0;
  int starts_ = 0;
  std::map<int, UnderWay> kills_;  // By input.
  bool killed_ = false;
};

}  // namespace shadow
