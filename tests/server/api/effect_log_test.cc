// What the log says of effects at log_level "debug".
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/core/loop/world.h"
#include "server/effect_runner.h"
#include "tests/fakes/captured_log.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/one_provider.h"
#include "tests/fakes/poll.h"
#include "tests/fakes/test_dna.h"

namespace shadow {
namespace {

using Lines = std::vector<std::string>;

class InstantFit final : public FitWork {
 public:
  void Run() override {}
};

// A runner on a fake provider whose Verify hangs until it is let go, on a clock that stands still.
class LoggedRunner {
 public:
  LoggedRunner() {
    auto provider = std::make_unique<FakeProvider>();
    provider->Set([this](FakeProvider::Knobs& knobs) {
      knobs.differences = [this](const InstanceSpec&, Provider::Part) {
        hung_ = true;
        let_go_.wait(false);
        return Provider::Differences();
      };
    });
    adapters_.providers = ProvidersOf(std::move(provider));
    adapters_.score = [](const v1::Pool&, const Adapters::Scored& done) {
      done(absl::FailedPreconditionError("no history"));
    };
    adapters_.read_samples = [](const std::string&, absl::Time, absl::Time, absl::Duration,
                                int64_t) -> absl::StatusOr<std::vector<v1::Sample>> {
      return absl::UnavailableError("no disk");
    };
    runner_ = std::make_unique<EffectRunner>(adapters_, clock_,
                                             EffectRunner::Options{.provider_calls_max = 1},
                                             [this](const EffectResult& result) {
                                               const std::lock_guard lock(mutex_);
                                               done_.insert(result.id);
                                             });
  }
  ~LoggedRunner() { LetGo(); }
  LoggedRunner(const LoggedRunner&) = delete;
  LoggedRunner& operator=(const LoggedRunner&) = delete;

  Effect Of(Effect::Kind kind, const std::string& instance) {
    Effect effect;
    effect.id = ++last_id_;
    effect.kind = kind;
    effect.provider = DefaultProvider();
    effect.request_id = "r-1";
    effect.instance = TestInstance(instance);
    return effect;
  }
  Effect OfPool(Effect::Kind kind) {
    v1::Pool pool;
    pool.set_name("pools/web");
    pool.set_dna("dnas/web");
    pool.set_instance_capacity(1);
    Effect effect;
    effect.id = ++last_id_;
    effect.kind = kind;
    effect.pool = std::make_shared<const CompiledPool>(CompilePool(pool).value());
    return effect;
  }
  // Returns its id.
  uint64_t Submit(Effect effect) {
    const uint64_t id = effect.id;
    runner_->Submit(std::move(effect));
    return id;
  }
  void Await(uint64_t id) {
    REQUIRE(PollUntil(kPatience, [&] {
      const std::lock_guard lock(mutex_);
      return done_.contains(id);
    }));
  }
  void AwaitHung() {
    REQUIRE(PollUntil(kPatience, [&] { return hung_.load(); }));
  }
  void LetGo() {
    let_go_ = true;
    let_go_.notify_all();
  }

  ManualClock& clock() { return clock_; }
  EffectRunner& runner() { return *runner_; }

 private:
  ManualClock clock_;
  std::atomic<bool> hung_ = false;
  std::atomic<bool> let_go_ = false;
  Adapters adapters_;
  uint64_t last_id_ = 0;
  std::mutex mutex_;
  std::set<uint64_t> done_;
  std::unique_ptr<EffectRunner> runner_;  // Last: it writes what is above.
};

}  // namespace

TEST_CASE("a call that is abandoned has its line then, and none when it returns") {
  const CapturedLog log(spdlog::level::debug);
  LoggedRunner world;
  world.Await(world.Submit(world.Of(Effect::Kind::kCreate, "i1")));
  const uint64_t stuck = world.Submit(world.Of(Effect::Kind::kVerify, "i1"));
  world.AwaitHung();
  world.clock().Advance(absl::Seconds(11));
  world.Await(stuck);
  const Lines lines = {
      "create took 0: OK pool=web instance=i1 request_id=r-1",
      "verify took 11s: DEADLINE_EXCEEDED: provider process: no answer within 10s pool=web "
      "instance=i1 request_id=r-1"};
  CHECK(log.Lines() == lines);
  world.LetGo();
  world.runner().Stop();
  CHECK(log.Lines() == lines);
}

TEST_CASE("an effect that does not begin has its line too") {
  const CapturedLog log(spdlog::level::debug);
  LoggedRunner world;
  world.Await(world.Submit(world.Of(Effect::Kind::kCreate, "i1")));
  world.Submit(world.Of(Effect::Kind::kVerify, "i1"));
  world.AwaitHung();
  const uint64_t waits = world.Submit(world.Of(Effect::Kind::kSuspend, "i1"));
  world.clock().Advance(absl::Seconds(2));
  world.runner().Cancel(waits);
  CHECK(log.Lines("suspend") ==
        Lines{"suspend took 2s: CANCELLED: cancelled before it began pool=web instance=i1 "
              "request_id=r-1"});
}

TEST_CASE("scores, fits and pools that learn again have lines as calls have") {
  const CapturedLog log(spdlog::level::debug);
  LoggedRunner world;
  world.Await(world.Submit(world.OfPool(Effect::Kind::kScore)));
  Effect fit = world.OfPool(Effect::Kind::kFit);
  fit.fit = std::make_shared<FitTask>(FitTask{.work = std::make_unique<InstantFit>()});
  world.Await(world.Submit(std::move(fit)));
  Effect learn = world.OfPool(Effect::Kind::kLearn);
  learn.learner = std::make_shared<PoolEntry>();
  learn.learner->id = "web";
  *learn.learner->record.mutable_pool() = learn.pool->pool;
  learn.learner->spec = learn.pool;
  learn.until = world.clock().Now().wall;
  world.Await(world.Submit(std::move(learn)));
  CHECK(log.Lines() == Lines{"score took 0: FAILED_PRECONDITION: no history pool=web",
                             "fit took 0: OK pool=web",
                             "learn took 0: UNAVAILABLE: no disk pool=web"});
}

TEST_CASE("effects have no lines above the level debug") {
  const CapturedLog log;
  LoggedRunner world;
  world.Await(world.Submit(world.Of(Effect::Kind::kCreate, "i1")));
  CHECK(log.Lines().empty());
}

}  // namespace shadow
