// When the level follows demand that has come: pushed and polled samples go one way.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

constexpr absl::Duration kActivation = absl::Seconds(30);

// A pool without instances of its own whose level follows every 30 s, at 0.1 s after such a tick:
// the one by which it was created.
struct SoonWorld {
  explicit SoonWorld(bool polled) {
    simulation.SetWall(absl::FromUnixSeconds(1'700'006'400));
    v1::CreatePoolRequest create;
    v1::Pool& pool = *create.mutable_pool();
    pool.set_name(kPool);
    pool.set_dna("dnas/web");
    pool.set_external_capacity(100);
    pool.set_instance_capacity(50);
    v1::Policy& policy = *pool.mutable_policy();
    policy.set_mode(v1::Policy::AUTOMATIC);
    *policy.mutable_activation_interval() = ToProto(kActivation);
    if (polled) {
      v1::HaproxyUsage& source = *pool.add_usage_sources()->mutable_haproxy();
      source.set_socket_path("/run/haproxy.sock");
      source.set_backend("web");
    }
    REQUIRE(simulation.Call(CreateDna()).ok());
    REQUIRE(simulation.Call(create).ok());
    simulation.Run(absl::Milliseconds(100));
  }

  absl::Time now() const { return simulation.now().wall; }
  void Push(double demand) { REQUIRE(simulation.Call(Report(now(), demand)).ok()); }
  const PoolEntry& pool() const { return simulation.world().pools.at("web"); }
  const v1::Decision& level() const {
    return pool().planning.last_decisions.at(v1::Decision::LEVEL);
  }

  // The demand of each recorded LEVEL decision: of each one that differs from the one before.
  std::vector<double> Demands() const {
    std::vector<double> demands;
    for (const v1::Decision& decision : simulation.store().decisions()) {
      if (decision.kind() == v1::Decision::LEVEL && !decision.inputs().usage().stale()) {
        demands.push_back(decision.inputs().usage().demand());
      }
    }
    return demands;
  }

  Simulation simulation;
};

}  // namespace

TEST_CASE("a pushed sample has the level decided at once, not at the end of the interval") {
  SoonWorld world(false);
  const absl::Time pushed = world.now();
  world.Push(300);
  world.simulation.Run(absl::ZeroDuration());
  CHECK(FromProto(world.level().time()) == pushed);
  CHECK(world.level().inputs().usage().demand() == 300);
  CHECK(world.level().target_active() > 0);
}

TEST_CASE("many samples that come before the next tick cost one decision, by the last of them") {
  SoonWorld world(false);
  v1::ReportUsageBatchRequest burst = Report(world.now() - absl::Milliseconds(10), 150);
  for (int i = 9; i > 0; --i) {
    v1::Sample& sample = *burst.add_samples();
    *sample.mutable_time() = ToProto(world.now() - absl::Milliseconds(i));
    sample.set_value(150 + 50 * (10 - i));
  }
  REQUIRE(world.simulation.Call(burst).ok());
  world.Push(900);
  CHECK(world.Demands().empty());
  world.simulation.Run(absl::ZeroDuration());
  CHECK(world.Demands() == std::vector<double>{900});
}

TEST_CASE("in one activation interval samples have the level decided once, and at its end") {
  SoonWorld world(false);
  const absl::Time tick = world.now() - absl::Milliseconds(100) + kActivation;
  for (int second = 0; second < 29; ++second) {
    world.Push(200 + 50 * second);
    world.simulation.Run(absl::Seconds(1));
  }
  CHECK(world.Demands() == std::vector<double>{200});
  world.simulation.Run(absl::Seconds(1));
  CHECK(world.Demands() == std::vector<double>{200, 200 + 50 * 28});
  CHECK(FromProto(world.level().time()) == tick);
  // The next interval has one of its own.
  const absl::Time pushed = world.now();
  world.Push(3000);
  world.simulation.Run(absl::ZeroDuration());
  CHECK(FromProto(world.level().time()) == pushed);
}

TEST_CASE("a polled sample has the level decided as a pushed one") {
  SoonWorld polled(true);
  polled.simulation.usage.Push(kPool, polled.now() + absl::Seconds(1), 300);
  polled.simulation.Run(kActivation);
  SoonWorld pushed(false);
  // When the answer of the source comes: an effect takes 10 ms in the simulation.
  pushed.simulation.Run(kActivation - absl::Milliseconds(90));
  REQUIRE(
      pushed.simulation.Call(Report(pushed.now() - absl::Seconds(29) + absl::Milliseconds(90), 300))
          .ok());
  pushed.simulation.Run(absl::Milliseconds(90));
  REQUIRE(polled.now() == pushed.now());
  CHECK(polled.level().time().seconds() == pushed.level().time().seconds());
  CHECK(polled.level().time().nanos() == pushed.level().time().nanos());
  CHECK(polled.level().target_active() == pushed.level().target_active());
  CHECK(polled.Demands() == pushed.Demands());
  CHECK(polled.Demands() == std::vector<double>{300});
}

TEST_CASE("the level of a polled pool is decided where its source fails, too") {
  SoonWorld world(true);
  world.simulation.usage.SetError(absl::UnavailableError("nobody answers"));
  const absl::Time tick = world.now() - absl::Milliseconds(100) + kActivation;
  world.simulation.Run(kActivation);
  CHECK(FromProto(world.level().time()) == tick + absl::Milliseconds(10));
  CHECK(world.level().inputs().usage().stale());
}

TEST_CASE("a daemon killed after a sample and before its decision decides when it starts") {
  SoonWorld world(false);
  world.simulation.KillAfter(world.simulation.inputs() + 1, Simulation::UnderWay::kDone);
  CHECK(absl::IsUnavailable(world.simulation.Call(Report(world.now(), 400)).status()));
  world.simulation.Run(absl::ZeroDuration());
  CHECK(world.Demands() == std::vector<double>{400});
}

}  // namespace shadow
