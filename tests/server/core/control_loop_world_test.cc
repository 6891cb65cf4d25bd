// What the control loop does when the world misbehaves.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using I = v1::Instance;
using S = v1::ShadowPool;

// `base` serving instances, and a shadow of `size` at `level` (0 instances: none).
void Prepare(Simulation& simulation, int base, int size, int level) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(base)).ok());
  REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == base; },
                              kLimit));
  if (size == 0) return;
  REQUIRE(simulation.Call(CreateShadow(50 * (base + size))).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::SUSPENDED); }, kLimit));
  if (level == 0) return;
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), level)).ok());
}

bool AnyReason(const Simulation& simulation, std::string_view part) {
  const auto& events = simulation.store().events();
  return std::any_of(events.begin(), events.end(), [&](const v1::Event& event) {
    return event.instance().state() == I::FAILED &&
           event.instance().reason().find(part) != std::string::npos;
  });
}

// Gives every warming instance these numbers until one has failed for them.
void SpoilCanary(Simulation& simulation, int64_t errors, double response_time_ms) {
  FakeBalancer& balancer = simulation.balancers[kPool];
  for (const std::string& address : ActiveAddresses(simulation)) {
    balancer.SetCounters(address, 100, 0, 20);
  }
  const bool failed = simulation.RunUntil(
      [&] {
        for (const auto& [id, member] : simulation.world().pools.at("web").members) {
          if (member.record.instance().state() == I::WARMING) {
            balancer.SetCounters(member.record.instance().address(), 10, errors, response_time_ms);
          }
        }
        return CountMembers(simulation, I::FAILED) > 0;
      },
      kLimit);
  REQUIRE(failed);
}

// It is gone, or nobody listens at its socket any more.
void LoseBalancer(Simulation& simulation) {
  constexpr int kForEver = 1'000'000;
  using Verb = FakeBalancer::Verb;
  for (const Verb verb : {Verb::kAssign, Verb::kView}) {
    simulation.balancers[kPool].Fail(verb, absl::UnavailableError("no answer"), kForEver);
  }
}

}  // namespace

TEST_CASE("an instance that differs from its DNA never serves and is retried ever more rarely") {
  Simulation simulation;
  simulation.provider.Set([](FakeProvider::Knobs& knobs) {
    knobs.differences = [](const InstanceSpec&, Provider::Part) {
      return Provider::Differences{"dna.security.user: wanted web, found uid 7"};
    };
  });
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  simulation.Run(absl::Minutes(5));
  CHECK(AnyReason(simulation, "differs from its DNA"));
  CHECK(simulation.balancers[kPool].Calls().empty());
  CHECK(CountMembers(simulation, I::ACTIVE, I::BASE) == 0);
  // 1, 2, 4, ... seconds apart: the ninth comes after 255 s.
  const int creates = simulation.provider.Calls(FakeProvider::Verb::kCreate);
  CHECK(creates >= 6);
  CHECK(creates <= 10);
  simulation.provider.Set([](FakeProvider::Knobs& knobs) { knobs.differences = nullptr; });
  CHECK(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == 1; },
                            absl::Minutes(6)));
}

TEST_CASE("a slow canary is taken out and replaced") {
  Simulation simulation;
  Prepare(simulation, 1, 1, 100);
  SpoilCanary(simulation, 0, 500);
  CHECK(AnyReason(simulation, "canary: mean response time 500.0 ms against 20.0 ms"));
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kLimit));
  simulation.Run(absl::Seconds(5));
  CHECK(BalancerAddresses(simulation) == ActiveAddresses(simulation));
  CHECK(simulation.provider.Lives().size() == 2);
}

TEST_CASE("an erroring canary is taken out and replaced") {
  Simulation simulation;
  Prepare(simulation, 1, 1, 100);
  SpoilCanary(simulation, 1, 20);
  CHECK(AnyReason(simulation, "canary: 1 errors in 10 requests"));
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kLimit));
  CHECK(simulation.RunUntil(
      [&] { return BalancerAddresses(simulation) == ActiveAddresses(simulation); }, kLimit));
}

TEST_CASE("a balancer that restarts and forgets its members gets them again") {
  Simulation simulation;
  Prepare(simulation, 2, 1, 100);
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kLimit));
  FakeBalancer& balancer = simulation.balancers[kPool];
  balancer.Restart();
  REQUIRE(BalancerAddresses(simulation).empty());
  REQUIRE(simulation.RunUntil([&] { return BalancerAddresses(simulation).size() == 3; }, kLimit));
  simulation.Run(absl::Seconds(5));
  for (const std::string& address : ActiveAddresses(simulation)) {
    const auto member = balancer.Member(address);
    REQUIRE(member.has_value());
    CHECK(member->weight_percent == 100);
  }
}

TEST_CASE("a pool whose balancer never answers again is deleted after its drain timeout") {
  Simulation simulation;
  Prepare(simulation, 2, 0, 0);
  LoseBalancer(simulation);
  v1::DeletePoolRequest request;
  request.set_name(kPool);
  REQUIRE(simulation.Call(request).ok());
  simulation.Run(absl::Seconds(29));  // The default is 30 s.
  CHECK(simulation.provider.Lives().size() == 2);
  CHECK(simulation.RunUntil([&] { return simulation.world().pools.empty(); }, kLimit));
  CHECK(simulation.provider.Lives().empty());
}

TEST_CASE("what a silent balancer may still send traffic to is not suspended") {
  Simulation simulation;
  Prepare(simulation, 1, 1, 100);
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kLimit));
  LoseBalancer(simulation);
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), 0)).ok());
  simulation.Run(absl::Minutes(5));
  CHECK(CountMembers(simulation, I::DRAINING) == 1);
}

TEST_CASE("a balancer member that is nobody's is removed in the end") {
  Simulation simulation;
  Prepare(simulation, 1, 0, 0);
  simulation.balancers[kPool].AddStranger("127.0.0.1:9");
  CHECK(simulation.RunUntil([&] { return !BalancerAddresses(simulation).contains("127.0.0.1:9"); },
                            kLimit));
  CHECK(BalancerAddresses(simulation).size() == 1);
}

TEST_CASE("nobody is destroyed because a list of the instances failed") {
  Simulation simulation;
  Prepare(simulation, 1, 2, 0);
  const int destroyed = simulation.provider.Calls(FakeProvider::Verb::kDestroy);
  simulation.provider.Fail(FakeProvider::Verb::kList, "", absl::UnavailableError("no answer"), 20);
  simulation.Run(absl::Minutes(1));
  CHECK(simulation.provider.Calls(FakeProvider::Verb::kDestroy) == destroyed);
  CHECK(simulation.provider.Lives().size() == 3);
  CHECK(CountMembers(simulation, I::FAILED) == 0);
}

TEST_CASE("an instance without a record is destroyed after the third list that shows it") {
  Simulation simulation;
  Prepare(simulation, 1, 0, 0);
  InstanceSpec stranger;
  stranger.id = "x999";
  simulation.provider.AddOrphan(stranger);
  const int lists = simulation.provider.Calls(FakeProvider::Verb::kList);
  REQUIRE(
      simulation.RunUntil([&] { return !simulation.provider.Lives().contains("x999"); }, kLimit));
  CHECK(simulation.provider.Calls(FakeProvider::Verb::kList) - lists == 3);
  CHECK(simulation.provider.Lives().size() == 1);
}

TEST_CASE("an instance that another store has made is left alone, and told of once") {
  Simulation simulation;
  Prepare(simulation, 1, 0, 0);
  InstanceSpec stranger;
  stranger.id = "i1";  // The store has come further.
  simulation.provider.Set([](FakeProvider::Knobs& knobs) { knobs.epoch = "another/1"; });
  simulation.provider.AddOrphan(stranger);
  simulation.Run(absl::Minutes(5));
  CHECK(simulation.provider.Lives().contains("i1"));
  const auto& events = simulation.store().events();
  CHECK(std::count_if(events.begin(), events.end(), [](const v1::Event& event) {
          return event.name() == "instances/i1" &&
                 event.message().find("made by another store") != std::string::npos;
        }) == 1);
}

TEST_CASE("an instance without a record is ended by one call at a time") {
  Simulation simulation({.latency = absl::Minutes(1)});
  InstanceSpec stranger;
  stranger.id = "x999";
  simulation.provider.AddOrphan(stranger);
  simulation.provider.Fail(FakeProvider::Verb::kDestroy, "x999", absl::UnavailableError("slow"), 2);
  simulation.Run(absl::Minutes(2));
  CHECK(simulation.provider.Calls(FakeProvider::Verb::kDestroy) <= 2);
  CHECK(
      simulation.RunUntil([&] { return simulation.provider.Lives().empty(); }, absl::Minutes(10)));
}

TEST_CASE("a shadow goes although one of its instances dies while it is drained") {
  Simulation simulation;
  Prepare(simulation, 1, 1, 100);
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kLimit));
  for (const std::string& address : ActiveAddresses(simulation)) {
    simulation.balancers[kPool].SetInFlight(address, 1);  // The drain waits.
  }
  REQUIRE(simulation.Call(DeleteShadow(OnlyShadow(simulation)->name())).ok());
  REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, I::DRAINING) == 1; }, kLimit));
  for (const auto& [id, member] : simulation.world().pools.at("web").members) {
    if (member.record.instance().role() == I::SHADOW) simulation.provider.Exit(id, "it fell");
  }
  CHECK(simulation.RunUntil([&] { return simulation.world().pools.at("web").shadows.empty(); },
                            kLimit));
  CHECK(AnyReason(simulation, "it fell"));
  CHECK(LiveMembers(simulation) == ProviderIds(simulation));
  CHECK(simulation.store().Contents().instances_size() == 1);
}

TEST_CASE("a new DNA revision replaces the base without serving with fewer") {
  Simulation simulation;
  Prepare(simulation, 2, 0, 0);
  REQUIRE(simulation.Call(UpdateDna()).ok());
  const v1::Pool& pool = simulation.world().pools.at("web").record.pool();
  const std::string revision = pool.dna_revision();
  CHECK(pool.reconciling());
  int fewest = 2;
  const bool done = simulation.RunUntil(
      [&] {
        int current = 0;
        for (const auto& [id, member] : simulation.world().pools.at("web").members) {
          const I& instance = member.record.instance();
          current += instance.state() == I::ACTIVE && instance.dna_revision() == revision;
        }
        fewest = std::min(fewest, CountMembers(simulation, I::ACTIVE, I::BASE));
        CHECK((pool.reconciling() || current == 2));
        return current == 2 && !pool.reconciling() && simulation.provider.Lives().size() == 2;
      },
      kLimit);
  CHECK(done);
  CHECK(fewest == 2);
  for (const auto& [id, life] : simulation.provider.Lives()) {
    CHECK(simulation.provider.RevisionOf(id) == revision);
  }
}

}  // namespace shadow
