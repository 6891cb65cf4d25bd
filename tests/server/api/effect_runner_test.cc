// Who waits for whom when effects are carried out.
#include "server/effect_runner.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "server/core/clock.h"
#include "tests/fakes/fake_prober.h"
#include "tests/fakes/fake_provider.h"
#include "tests/fakes/fake_usage_source.h"
#include "tests/fakes/one_provider.h"
#include "tests/fakes/poll.h"
#include "tests/fakes/test_dna.h"

namespace shadow {
namespace {

constexpr absl::Duration kCallTimeLimit = absl::Hours(1);
constexpr char kHangs[] = "127.0.0.1:1";
constexpr char kLost[] = "dna.network.connections: wanted one to 10.0.0.1:5432";
constexpr char kHealthy[] = "127.0.0.1:2";

// Of the pool "web", which polls its usage; each call gives one of the same sources.
std::shared_ptr<const CompiledPool> PolledPool() {
  auto pool = std::make_shared<CompiledPool>();
  pool->pool.set_name("pools/web");
  pool->pool.add_usage_sources()->mutable_haproxy()->set_frontend("front");
  return pool;
}

// A runner on fakes whose prober hangs at kHangs. The n-th usage source that it makes, from 1,
// reads n.
class Runner {
 public:
  Runner() : dna_(std::make_shared<CompiledDna>(TestDna())) {
    auto prober = std::make_unique<FakeProber>();
    prober_ = prober.get();
    FakeProber::Behaviour behaviour;
    behaviour.hangs = true;
    prober_->Set(kHangs, behaviour);
    adapters_.prober = std::move(prober);
    auto provider = std::make_unique<FakeProvider>();
    provider_ = provider.get();
    adapters_.providers = ProvidersOf(std::move(provider));
    adapters_.make_balancer = [](const v1::Pool&) { return nullptr; };
    adapters_.make_usage_source = [this](const v1::Pool&, const v1::UsageSource&) {
      auto source = std::make_unique<FakeUsageSource>();
      source->Push("pools/web", absl::UnixEpoch(), ++sources_made_);
      return source;
    };
    adapters_.may_act = [this] { return may_act_.load(); };
    runner_ = std::make_unique<EffectRunner>(
        adapters_, clock_, Options{.provider_calls_max = 2, .call_time_limit = kCallTimeLimit},
        [this](EffectResult result) {
          const std::lock_guard lock(mutex_);
          results_[result.id] = std::move(result);
        });
  }

  // From now on, of every instance.
  void SetDna(CompiledDna dna) { dna_ = std::make_shared<CompiledDna>(std::move(dna)); }

  void SetOperationsPerCall(int operations) {
    CompiledProvider provider = *spec_;
    provider.traits.operations_per_call = operations;
    spec_ = std::make_shared<const CompiledProvider>(std::move(provider));
  }

  // Returns its id.
  uint64_t Submit(Effect::Kind kind, const std::string& pool, const std::string& address,
                  const std::string& instance = "") {
    Effect effect;
    effect.id = ++last_id_;
    effect.kind = kind;
    effect.provider = spec_;
    effect.instance = {.id = instance.empty() ? "i" + std::to_string(effect.id) : instance,
                       .name = "",
                       .pool = pool,
                       .shadow = "s1",
                       .dna = dna_};
    effect.address = address;
    runner_->Submit(std::move(effect));
    return last_id_;
  }

  // What the pool's usage source reads.
  double ReadUsage(std::shared_ptr<const CompiledPool> pool) {
    Effect effect;
    effect.id = ++last_id_;
    effect.kind = Effect::Kind::kReadUsage;
    effect.pool = std::move(pool);
    effect.since = absl::InfinitePast();
    runner_->Submit(std::move(effect));
    REQUIRE(StatusOf(last_id_).ok());
    const std::lock_guard lock(mutex_);
    return results_.at(last_id_).usage.samples.at(0).value();
  }

  bool Done(uint64_t id) {
    const std::lock_guard lock(mutex_);
    return results_.contains(id);
  }
  absl::Status StatusOf(uint64_t id) {
    REQUIRE(PollUntil(kPatience, [&] { return Done(id); }));
    const std::lock_guard lock(mutex_);
    return results_.at(id).status;
  }

  // Before effects that it is meant for.
  void SetMayAct(bool may_act) { may_act_ = may_act; }

  EffectRunner& runner() { return *runner_; }
  FakeProber& prober() { return *prober_; }
  FakeProvider& provider() { return *provider_; }

 private:
  using Options = EffectRunner::Options;

  std::shared_ptr<const CompiledProvider> spec_ = DefaultProvider();
  std::shared_ptr<CompiledDna> dna_;
  SystemClock clock_;
  Adapters adapters_;
  FakeProber* prober_ = nullptr;
  FakeProvider* provider_ = nullptr;
  std::atomic<bool> may_act_ = true;
  uint64_t last_id_ = 0;
  int sources_made_ = 0;
  std::mutex mutex_;
  std::map<uint64_t, EffectResult> results_;
  std::unique_ptr<EffectRunner> runner_;  // Last: it writes the results.
};

TEST_CASE("warm-ups that hang in one pool hold up neither other pools nor other effects") {
  Runner world;
  std::vector<uint64_t> hung;
  for (int i = 0; i < 200; ++i) hung.push_back(world.Submit(Effect::Kind::kWarmUp, "h", kHangs));
  CHECK(world.StatusOf(world.Submit(Effect::Kind::kWarmUp, "web", kHealthy)).ok());
  CHECK(world.StatusOf(world.Submit(Effect::Kind::kCreate, "h", "")).ok());
  CHECK(world.StatusOf(world.Submit(Effect::Kind::kAwaitReady, "h", "")).ok());
  REQUIRE(PollUntil(kPatience,
                    [&] { return world.prober().WarmUps(kHangs) == EffectRunner::kProbesMax; }));
  for (const uint64_t id : hung) CHECK_FALSE(world.Done(id));
}

TEST_CASE("a provider that never answers holds up no other one") {
  auto hung = std::make_unique<FakeProvider>();
  FakeProvider& silent = *hung;
  std::atomic<bool> let_go = false;
  silent.Set([&](FakeProvider::Knobs& knobs) {
    knobs.differences = [&](const InstanceSpec&, Provider::Part) {
      let_go.wait(false);
      return Provider::Differences();
    };
  });
  std::map<std::string, std::unique_ptr<Provider>> both;
  both["silent"] = std::move(hung);
  both["prompt"] = std::make_unique<FakeProvider>();
  Adapters adapters;
  // They are made in the order in which they are asked for.
  std::deque<std::string> order = {"silent", "prompt"};
  adapters.providers = std::make_unique<Providers>(
      [&](const v1::Provider&) -> absl::StatusOr<std::unique_ptr<Provider>> {
        auto made = std::move(both.at(order.front()));
        order.pop_front();
        return made;
      });
  std::mutex mutex;
  std::map<uint64_t, absl::Status> results;
  SystemClock clock;
  EffectRunner runner(adapters, clock, {.provider_calls_max = 2, .call_time_limit = kCallTimeLimit},
                      [&](const EffectResult& result) {
                        const std::lock_guard lock(mutex);
                        results[result.id] = result.status;
                      });
  const absl::Cleanup release = [&] {
    let_go = true;
    let_go.notify_all();
  };
  const auto done = [&](uint64_t id) {
    const std::lock_guard lock(mutex);
    return results.contains(id);
  };
  uint64_t last = 0;
  const auto submit = [&](const std::string& key, Effect::Kind kind, const std::string& id) {
    CompiledProvider provider = *DefaultProvider();
    provider.key = key;
    Effect effect;
    effect.id = ++last;
    effect.kind = kind;
    effect.provider = std::make_shared<const CompiledProvider>(std::move(provider));
    effect.instance.id = id;
    effect.instance.dna = std::make_shared<const CompiledDna>(TestDna());
    runner.Submit(std::move(effect));
    return last;
  };
  for (const char* id : {"i1", "i2", "i3"}) {
    const uint64_t created = submit("silent", Effect::Kind::kCreate, id);
    REQUIRE(PollUntil(kPatience, [&] { return done(created); }));
  }
  const uint64_t stuck = submit("silent", Effect::Kind::kVerify, "i1");
  for (const char* id : {"i1", "i2", "i3", "i4"}) {
    const uint64_t created = submit("prompt", Effect::Kind::kCreate, id);
    CHECK(PollUntil(kPatience, [&] { return done(created); }));
  }
  CHECK_FALSE(done(stuck));
}

TEST_CASE("the warm-ups of a pool run side by side, up to their limit") {
  Runner world;
  for (int i = 0; i < EffectRunner::kProbesMax; ++i) {
    world.Submit(Effect::Kind::kWarmUp, "web", kHangs);
    CHECK(PollUntil(kPatience, [&] { return world.prober().WarmUps(kHangs) == i + 1; }));
  }
  const uint64_t next = world.Submit(Effect::Kind::kWarmUp, "web", kHealthy);
  world.runner().Cancel(1);
  CHECK(world.StatusOf(next).ok());
}

TEST_CASE("a cancelled warm-up ends, whether it runs or waits") {
  Runner world;
  std::vector<uint64_t> ids;
  for (int i = 0; i < 3 * EffectRunner::kProbesMax; ++i) {
    ids.push_back(world.Submit(Effect::Kind::kWarmUp, "web", kHangs));
  }
  REQUIRE(PollUntil(kPatience,
                    [&] { return world.prober().WarmUps(kHangs) == EffectRunner::kProbesMax; }));
  world.runner().Cancel(ids.back());
  CHECK(absl::IsCancelled(world.StatusOf(ids.back())));
  for (const uint64_t id : ids) world.runner().Cancel(id);
  for (const uint64_t id : ids) CHECK(absl::IsCancelled(world.StatusOf(id)));
  world.runner().Cancel(ids.front());  // Long done: nothing happens.
  CHECK(world.StatusOf(world.Submit(Effect::Kind::kWarmUp, "web", kHealthy)).ok());
}

CompiledDna ConnectedDna(absl::Duration warm_up_timeout) {
  CompiledDna dna = TestDna();
  v1::Connection& connection = *dna.dna.mutable_network()->add_connections();
  connection.set_host("10.0.0.1");
  connection.set_port(5432);
  dna.warm_up_timeout = warm_up_timeout;
  return dna;
}

TEST_CASE("what has lost a connection of its DNA is not warm until it has it again") {
  Runner world;
  world.SetDna(ConnectedDna(absl::Minutes(1)));
  REQUIRE(world.StatusOf(world.Submit(Effect::Kind::kCreate, "web", "", "i1")).ok());
  std::atomic<int> looks = 0;
  world.provider().Set([&](FakeProvider::Knobs& knobs) {
    knobs.differences = [&](const InstanceSpec&, Provider::Part) {
      return ++looks < 3 ? Provider::Differences{"dna.network.connections: none"}
                         : Provider::Differences{};
    };
  });
  CHECK(world.StatusOf(world.Submit(Effect::Kind::kWarmUp, "web", kHealthy, "i1")).ok());
  CHECK(looks == 3);
}

TEST_CASE("what does not get a connection of its DNA back is not warmed up, and says which") {
  Runner world;
  world.SetDna(ConnectedDna(absl::Milliseconds(200)));
  REQUIRE(world.StatusOf(world.Submit(Effect::Kind::kCreate, "web", "", "i1")).ok());
  world.provider().Set([](FakeProvider::Knobs& knobs) {
    knobs.differences = [](const InstanceSpec&, Provider::Part part) {
      CHECK(part == Provider::Part::kConnections);
      return Provider::Differences{kLost};
    };
  });
  const absl::Status lost =
      world.StatusOf(world.Submit(Effect::Kind::kWarmUp, "web", kHealthy, "i1"));
  CHECK(absl::IsFailedPrecondition(lost));
  CHECK(lost.message() == kLost);

  world.SetDna(ConnectedDna(absl::Minutes(10)));
  const uint64_t patient = world.Submit(Effect::Kind::kWarmUp, "web", kHealthy, "i1");
  world.runner().Cancel(patient);
  CHECK(absl::IsCancelled(world.StatusOf(patient)));
  CHECK(absl::IsFailedPrecondition(
      world.StatusOf(world.Submit(Effect::Kind::kWarmUp, "web", kHealthy, "none"))));
}

TEST_CASE("operations that wait for a busy provider go in one call, where it takes several") {
  const int per_call = GENERATE(1, 16);
  std::atomic<bool> let_go = false;
  Runner world;
  world.SetOperationsPerCall(per_call);
  const absl::Cleanup release = [&] {
    let_go = true;
    let_go.notify_all();
  };
  world.provider().Set([&](FakeProvider::Knobs& knobs) {
    knobs.differences = [&](const InstanceSpec&, Provider::Part) {
      let_go.wait(false);
      return Provider::Differences();
    };
  });
  for (const char* id : {"i1", "i2", "i3"}) {
    REQUIRE(world.StatusOf(world.Submit(Effect::Kind::kCreate, "web", "", id)).ok());
  }
  world.provider().Fail(FakeProvider::Verb::kCreate, "i13", absl::UnavailableError("no"));
  std::vector<uint64_t> busy;
  for (const char* id : {"i1", "i2"}) {
    busy.push_back(world.Submit(Effect::Kind::kVerify, "web", "", id));
  }
  std::vector<uint64_t> ids;
  for (int i = 10; i < 18; ++i) {
    ids.push_back(world.Submit(Effect::Kind::kCreate, "web", "", "i" + std::to_string(i)));
  }
  ids.push_back(world.Submit(Effect::Kind::kSuspend, "web", "", "nobody"));
  ids.push_back(world.Submit(Effect::Kind::kResume, "web", "", "i3"));
  let_go = true;
  let_go.notify_all();
  for (const uint64_t id : busy) CHECK(world.StatusOf(id).ok());
  for (size_t i = 0; i < ids.size(); ++i) {
    const absl::Status status = world.StatusOf(ids[i]);
    CHECK(status.code() == (i == 3   ? absl::StatusCode::kUnavailable
                            : i == 8 ? absl::StatusCode::kNotFound
                                     : absl::StatusCode::kOk));
  }
  const std::vector<size_t> each_alone(13, 1);
  CHECK(world.provider().Applied() ==
        (per_call == 1 ? each_alone : std::vector<size_t>{1, 1, 1, 10}));
}

TEST_CASE("a pool that is made again gets a usage source that has counted nothing") {
  Runner world;
  CHECK(world.ReadUsage(PolledPool()) == 1);
  CHECK(world.ReadUsage(PolledPool()) == 1);  // As after an update of something else.
  world.runner().Forget("pools/other");
  CHECK(world.ReadUsage(PolledPool()) == 1);
  world.runner().Forget("pools/web");
  CHECK(world.ReadUsage(PolledPool()) == 2);
}

TEST_CASE("the end waits for no probe") {
  Runner world;
  for (int i = 0; i < 100; ++i) world.Submit(Effect::Kind::kWarmUp, "web", kHangs);
  SystemClock clock;
  const absl::Duration before = clock.Now().mono;
  world.runner().Stop();
  CHECK(clock.Now().mono - before < absl::Seconds(2));
  world.Submit(Effect::Kind::kWarmUp, "web", kHealthy);
  CHECK(world.prober().WarmUps(kHealthy) == 0);
}

TEST_CASE("who may not act any more calls nobody, and no instance fails by it") {
  for (const int operations_per_call : {1, 8}) {
    Runner runner;
    runner.SetOperationsPerCall(operations_per_call);
    runner.SetMayAct(false);
    const uint64_t refused = runner.Submit(Effect::Kind::kCreate, "web", "", "i1");
    CHECK(absl::IsAborted(runner.StatusOf(refused)));
    CHECK(absl::IsAborted(
        runner.StatusOf(runner.Submit(Effect::Kind::kAwaitReady, "web", "127.0.0.1:20000", "i1"))));
    CHECK(runner.provider().List()->empty());
    runner.SetMayAct(true);
    CHECK(runner.StatusOf(runner.Submit(Effect::Kind::kCreate, "web", "", "i1")).ok());
    CHECK(runner.provider().List()->size() == 1);
  }
}

}  // namespace
}  // namespace shadow
