// What fails says so: conditions, and an event for each turn.
#include "server/core/loop/status/conditions.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/core/loop/pool_open.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using C = v1::Condition;

// By type; one without a type: it is not there.
template <typename Conditions>
C Find(const Conditions& conditions, const std::string& type) {
  for (const C& condition : conditions) {
    if (condition.type() == type) return condition;
  }
  return {};
}

C OfPool(const Simulation& simulation, const std::string& type) {
  return Find(simulation.world().pools.at("web").record.pool().conditions(), type);
}

bool Says(const Simulation& simulation, const std::string& type, C::Status status,
          const std::string& reason) {
  const C condition = OfPool(simulation, type);
  return condition.status() == status && condition.reason() == reason;
}

// Messages of the events that speak of a condition.
std::vector<std::string> Told(const Simulation& simulation, const std::string& type) {
  std::vector<std::string> told;
  for (const v1::Event& event : simulation.store().events()) {
    if (event.message().starts_with(type + " is ")) told.push_back(event.message());
  }
  return told;
}

void MakePool(Simulation& simulation, int base, v1::Policy::Mode mode = v1::Policy::OBSERVE) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(base, mode)).ok());
}

TEST_CASE("limits of the DNA that cannot be enforced are said") {
  using Missing = std::optional<std::vector<std::string>>;
  Simulation simulation;
  const auto miss = [&simulation](const Missing& controllers) {
    simulation.provider.Set(
        [&](FakeProvider::Knobs& knobs) { knobs.missing_controllers = controllers; });
  };
  v1::CreateDnaRequest dna = CreateDna();
  dna.mutable_dna()->mutable_resources()->set_memory_max_bytes(1 << 30);
  dna.mutable_dna()->mutable_resources()->set_tasks_max(10);
  REQUIRE(simulation.Call(dna).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  simulation.Run(absl::Minutes(5));
  CHECK(OfPool(simulation, "LimitsEnforced").type().empty());  // The provider says nothing of it.

  miss(Missing{{"cpu", "memory"}});  // The DNA has no limit of CPU.
  REQUIRE(simulation.RunUntil(
      [&] { return Says(simulation, "LimitsEnforced", C::FALSE, "ControllersMissing"); },
      absl::Minutes(5)));
  CHECK(OfPool(simulation, "LimitsEnforced").message().ends_with("are missing: memory"));
  CHECK(Told(simulation, "LimitsEnforced").size() == 1);

  miss(Missing{{"cpu"}});
  REQUIRE(simulation.RunUntil(
      [&] { return Says(simulation, "LimitsEnforced", C::TRUE, "Enforced"); }, absl::Minutes(5)));
  CHECK(Told(simulation, "LimitsEnforced").size() == 2);

  miss(std::nullopt);
  CHECK(simulation.RunUntil([&] { return OfPool(simulation, "LimitsEnforced").type().empty(); },
                            absl::Minutes(5)));
}

TEST_CASE("the memory that suspended instances gave back is said, and that swap has no room") {
  constexpr int64_t kMiB = 1 << 20;
  Simulation simulation;
  const auto give_back = [&simulation](const ReclaimedMemory& each) {
    simulation.provider.Set([&](FakeProvider::Knobs& knobs) { knobs.reclaimed = each; });
  };
  MakePool(simulation, 1);
  REQUIRE(simulation.Call(CreateShadow(150)).ok());  // Two instances.
  simulation.Run(absl::Minutes(5));
  CHECK(OfPool(simulation, "MemoryReclaimed").type().empty());  // The provider says nothing of it.

  give_back({.before_bytes = 200 * kMiB, .after_bytes = 150 * kMiB, .swap = false});
  REQUIRE(simulation.RunUntil(
      [&] { return Says(simulation, "MemoryReclaimed", C::FALSE, "NoSwap"); }, absl::Minutes(5)));
  CHECK(OfPool(simulation, "MemoryReclaimed")
            .message()
            .starts_with("2 suspended instances gave back 100 of 400 MiB: "));
  CHECK(Told(simulation, "MemoryReclaimed").size() == 1);

  give_back({.before_bytes = 200 * kMiB, .after_bytes = 10 * kMiB, .swap = true});
  REQUIRE(simulation.RunUntil(
      [&] { return Says(simulation, "MemoryReclaimed", C::TRUE, "Reclaimed"); }, absl::Minutes(5)));
  CHECK(OfPool(simulation, "MemoryReclaimed").message() ==
        "2 suspended instances gave back 380 of 400 MiB");
}

TEST_CASE("a provider that does not answer is said, and keeps nobody from being ready") {
  Simulation simulation;
  simulation.provider.Fail(FakeProvider::Verb::kList, "", absl::UnavailableError("no route"), 100);
  MakePool(simulation, 1);
  CHECK_FALSE(simulation.loop().TakeSnapshot()->recovered);
  simulation.Run(absl::Seconds(10));
  const auto snapshot = simulation.loop().TakeSnapshot();
  CHECK(snapshot->recovered);
  CHECK(Find(snapshot->conditions, "Ready").status() == C::TRUE);
  const C daemon = Find(snapshot->conditions, "ProviderReachable/process");
  CHECK(daemon.status() == C::FALSE);
  CHECK(daemon.message() == "no route");
  CHECK(Says(simulation, "ProviderReachable", C::FALSE, "Unavailable"));
  // What does not need the list goes on.
  CHECK(Says(simulation, "Ready", C::TRUE, "BaseServes"));
  CHECK(Told(simulation, "ProviderReachable").size() == 1);

  REQUIRE(simulation.RunUntil(
      [&] { return Says(simulation, "ProviderReachable", C::TRUE, "Answers"); }, absl::Hours(1)));
  CHECK(Find(simulation.loop().TakeSnapshot()->conditions, "ProviderReachable/process").status() ==
        C::TRUE);
  CHECK(Told(simulation, "ProviderReachable").size() == 2);
}

TEST_CASE(
    "the daemon has started once each provider has answered, and a later one changes nothing") {
  World world;
  const Instant now{.wall = absl::FromUnixSeconds(1'700'000'000), .mono = absl::Hours(1)};
  const auto add = [&](const std::string& key) {
    auto provider = std::make_shared<CompiledProvider>(*DefaultProvider());
    provider->key = key;
    AddProvider(world, std::move(provider), now.mono);
  };
  const auto ready = [&] { return Find(DaemonConditions(world), "Ready").status(); };
  add("prompt");
  add("silent");
  Changes changes(world, now);
  NoteProviderList(changes, "prompt", absl::OkStatus());
  CHECK(ready() == C::FALSE);
  NoteProviderList(changes, "silent", absl::UnavailableError("no route"));
  CHECK(ready() == C::TRUE);
  add("new");
  CHECK(ready() == C::TRUE);
}

TEST_CASE("a balancer without the pool's backend is said once, and so is its return") {
  Simulation simulation;
  MakePool(simulation, 1);
  REQUIRE(simulation.RunUntil(
      [&] { return Says(simulation, "BalancerReachable", C::TRUE, "Answers"); }, kLimit));
  CHECK(Told(simulation, "BalancerReachable").empty());
  const absl::Time begin = simulation.now().wall;
  simulation.balancers[kPool].Fail(FakeBalancer::Verb::kView,
                                   absl::FailedPreconditionError("there is no backend \"web\""),
                                   1000);
  simulation.Run(absl::Seconds(20));
  CHECK(Says(simulation, "BalancerReachable", C::FALSE, "Misconfigured"));
  const absl::Time since = FromProto(OfPool(simulation, "BalancerReachable").since_time());
  CHECK((since >= begin && since <= begin + absl::Seconds(3)));
  CHECK(Told(simulation, "BalancerReachable") ==
        std::vector<std::string>{
            "BalancerReachable is FALSE (Misconfigured): there is no backend \"web\""});
  simulation.balancers[kPool].Fail(FakeBalancer::Verb::kView, absl::OkStatus(), 0);
  simulation.Run(absl::Seconds(5));
  CHECK(Told(simulation, "BalancerReachable").back() == "BalancerReachable is TRUE (Answers)");
}

TEST_CASE(
    "usage that stops is stale after the policy's age, and fresh again with the next sample") {
  Simulation simulation;
  MakePool(simulation, 0, v1::Policy::AUTOMATIC);
  simulation.Run(absl::Seconds(5));
  CHECK(Says(simulation, "UsageFresh", C::UNKNOWN, "NoSampleYet"));
  CHECK(Says(simulation, "Scaling", C::FALSE, "UsageStale"));
  REQUIRE(simulation.Call(Report(simulation.now().wall, 10)).ok());
  simulation.Run(absl::Minutes(2));
  CHECK(Says(simulation, "UsageFresh", C::TRUE, "Fresh"));
  CHECK(Says(simulation, "Scaling", C::TRUE, "Automatic"));
  simulation.Run(absl::Minutes(2));
  CHECK(Says(simulation, "UsageFresh", C::FALSE, "Stale"));
  CHECK(OfPool(simulation, "UsageFresh").message().starts_with("no sample since "));
  REQUIRE(simulation.Call(Report(simulation.now().wall, 10)).ok());
  simulation.Run(absl::Seconds(5));
  CHECK(Says(simulation, "UsageFresh", C::TRUE, "Fresh"));
  CHECK(Told(simulation, "UsageFresh").size() == 2);
}

TEST_CASE("a polled source that fails is told once usage is stale, a misconfigured one at once") {
  for (const bool misconfigured : {false, true}) {
    Simulation simulation;
    REQUIRE(simulation.Call(CreateDna()).ok());
    v1::CreatePoolRequest create = CreatePool(0);
    v1::HaproxyUsage& usage = *create.mutable_pool()->add_usage_sources()->mutable_haproxy();
    usage.set_socket_path("/run/haproxy.sock");
    usage.set_frontend("web");
    REQUIRE(simulation.Call(create).ok());
    simulation.usage.Push(kPool, simulation.now().wall, 10);
    simulation.Run(absl::Seconds(10));
    REQUIRE(Says(simulation, "UsageFresh", C::TRUE, "Fresh"));
    simulation.usage.SetError(misconfigured ? absl::FailedPreconditionError("no such frontend")
                                            : absl::UnavailableError("hung"));
    simulation.Run(absl::Seconds(10));
    CHECK(Says(simulation, "UsageFresh", C::TRUE, "Fresh") == !misconfigured);
    simulation.Run(absl::Minutes(4));
    CHECK(Told(simulation, "UsageFresh") ==
          std::vector<std::string>{misconfigured
                                       ? "UsageFresh is FALSE (Misconfigured): no such frontend"
                                       : "UsageFresh is FALSE (Unavailable): hung"});
  }
}

TEST_CASE("a base that fails says why") {
  Simulation simulation;
  for (int i = 0; i < 3; ++i) {
    simulation.provider.Fail(FakeProvider::Verb::kCreate, "",
                             absl::FailedPreconditionError("no such program"));
  }
  MakePool(simulation, 2);
  REQUIRE(simulation.RunUntil([&] { return Says(simulation, "Ready", C::FALSE, "InstancesFail"); },
                              kLimit));
  CHECK(OfPool(simulation, "Ready")
            .message()
            .ends_with("base instances serve; last failure: create: no such program"));
  CHECK(simulation.RunUntil([&] { return Says(simulation, "Ready", C::TRUE, "BaseServes"); },
                            kLimit));
}

TEST_CASE("a reason that is not UTF-8 leaves the pool readable") {
  Simulation simulation;
  simulation.provider.Fail(FakeProvider::Verb::kCreate, "",
                           absl::FailedPreconditionError("found \xff\xfe"), 100);
  MakePool(simulation, 1);
  REQUIRE(simulation.RunUntil([&] { return Says(simulation, "Ready", C::FALSE, "InstancesFail"); },
                              kLimit));
  CHECK(OfPool(simulation, "Ready").message().find("\xff\xfe") != std::string::npos);
  v1::Pool read;
  CHECK(read.ParseFromString(simulation.world().pools.at("web").record.pool().SerializeAsString()));
}

TEST_CASE("a hold and a mode that only observes are reasons not to scale, and no events") {
  Simulation simulation;
  MakePool(simulation, 0);
  simulation.Run(absl::Seconds(5));
  CHECK(Says(simulation, "Scaling", C::FALSE, "Observing"));
  REQUIRE(simulation.Call(CreateShadow(100)).ok());
  v1::UpdatePoolRequest update;
  *update.mutable_pool() = CreatePool(0, v1::Policy::AUTOMATIC).pool();
  REQUIRE(simulation.Call(update).ok());
  simulation.Run(absl::Seconds(5));
  CHECK(Says(simulation, "Scaling", C::FALSE, "Held"));
  CHECK(Told(simulation, "Scaling").empty());
}

TEST_CASE("after a downtime usage is stale only if no sample comes") {
  for (const bool comes : {true, false}) {
    Simulation simulation;
    MakePool(simulation, 0);
    REQUIRE(simulation.Call(Report(simulation.now().wall, 10)).ok());
    simulation.Run(absl::Seconds(10));
    REQUIRE(Says(simulation, "UsageFresh", C::TRUE, "Fresh"));
    simulation.while_down = [&] { simulation.SetWall(simulation.now().wall + absl::Hours(1)); };
    simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kDone);
    simulation.Run(absl::Minutes(1));
    REQUIRE(simulation.starts() == 2);
    CHECK(Told(simulation, "UsageFresh").empty());
    if (comes) REQUIRE(simulation.Call(Report(simulation.now().wall, 10)).ok());
    simulation.Run(absl::Minutes(3));
    CHECK(Told(simulation, "UsageFresh").empty() == comes);
  }
}

TEST_CASE("a restart turns nothing: conditions keep their time, and no event tells of them") {
  Simulation simulation;
  MakePool(simulation, 1);
  REQUIRE(simulation.Call(Report(simulation.now().wall, 10)).ok());
  simulation.balancers[kPool].Fail(FakeBalancer::Verb::kView, absl::UnavailableError("hung"), 1000);
  simulation.Run(absl::Seconds(10));
  const auto before = simulation.world().pools.at("web").record.pool().conditions();
  const size_t events = Told(simulation, "BalancerReachable").size();
  simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kDone);
  simulation.Run(absl::Seconds(10));
  REQUIRE(simulation.starts() == 2);
  for (const C& condition : before) {
    if (condition.status() == C::UNKNOWN) continue;
    INFO(condition.ShortDebugString());
    const C after = OfPool(simulation, condition.type());
    CHECK(after.status() == condition.status());
    CHECK(FromProto(after.since_time()) == FromProto(condition.since_time()));
  }
  CHECK(Told(simulation, "BalancerReachable").size() == events);
}

}  // namespace
}  // namespace shadow
