// Single instances by hand, and a roll-out that is paused.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "server/core/error.h"
#include "server/core/names.h"
#include "tests/server/core/shadow_life.h"

namespace shadow {
namespace {

using I = v1::Instance;
using S = v1::ShadowPool;

constexpr int kBaseByHand = 2;

v1::RestartInstanceRequest Restart(const std::string& name) {
  v1::RestartInstanceRequest request;
  request.set_name(name);
  return request;
}
v1::CordonInstanceRequest Cordon(const std::string& name) {
  v1::CordonInstanceRequest request;
  request.set_name(name);
  return request;
}
v1::UncordonInstanceRequest Uncordon(const std::string& name) {
  v1::UncordonInstanceRequest request;
  request.set_name(name);
  return request;
}

const PoolEntry& WebPool(const Simulation& simulation) {
  return simulation.world().pools.at("web");
}

// nullptr: it is gone.
const I* InstanceNamed(const Simulation& simulation, const std::string& name) {
  for (const auto& [id, member] : WebPool(simulation).members) {
    if (member.record.instance().name() == name) return &member.record.instance();
  }
  return nullptr;
}

// The first one in `state`. Empty: none is.
std::string FirstIn(const Simulation& simulation, I::State state, I::Role role) {
  for (const auto& [id, member] : WebPool(simulation).members) {
    const I& instance = member.record.instance();
    if (instance.state() == state && instance.role() == role) return instance.name();
  }
  return "";
}

bool BaseServes(const Simulation& simulation) {
  return CountMembers(simulation, I::ACTIVE, I::BASE) == kBaseByHand;
}

// A base of 2, and a shadow of 3 of which 1 serves.
void PrepareByHand(Simulation& simulation, bool balancer = true) {
  v1::CreatePoolRequest pool = CreatePool(kBaseByHand);
  if (!balancer) pool.mutable_pool()->clear_balancer();
  REQUIRE(Insist(simulation, CreateDna(), "a").ok());
  REQUIRE(Insist(simulation, pool, "b").ok());
  REQUIRE(Insist(simulation, CreateShadow(250), "c").ok());
  REQUIRE(Reaches(simulation, S::SUSPENDED, 0, MisledTraffic::kNever));
  REQUIRE(OnlyShadow(simulation)->target_instances() == 3);
  REQUIRE(Insist(simulation, Activate(OnlyShadow(simulation)->name(), 33), "d").ok());
  REQUIRE(Reaches(simulation, S::ACTIVE, 1, MisledTraffic::kNever));
  REQUIRE(simulation.RunUntil([&] { return BaseServes(simulation); }, kLimit));
}

Life LifeOf(const Simulation& simulation, const std::string& name) {
  return simulation.provider.Lives().at(LastId(name));
}

}  // namespace

TEST_CASE("an instance that is restarted serves until another one has taken its place") {
  const I::Role role = GENERATE(I::BASE, I::SHADOW);
  Simulation simulation;
  PrepareByHand(simulation);
  const std::string name = FirstIn(simulation, I::ACTIVE, role);
  const std::string dna_revision = InstanceNamed(simulation, name)->dna_revision();
  const auto answer = simulation.Call(Restart(name));
  REQUIRE(answer.ok());
  CHECK(static_cast<const I&>(**answer).restarting());
  int fewest = 3;
  REQUIRE(simulation.RunUntil(
      [&] {
        fewest = std::min(fewest, CountMembers(simulation, I::ACTIVE, I::BASE) +
                                      CountMembers(simulation, I::ACTIVE, I::SHADOW));
        CHECK(simulation.MisledTraffic().empty());
        return InstanceNamed(simulation, name) == nullptr;
      },
      kLimit));
  CHECK(fewest == 3);
  REQUIRE(Reaches(simulation, S::ACTIVE, 1, MisledTraffic::kNever));
  REQUIRE(simulation.RunUntil(
      [&] { return BaseServes(simulation) && LiveMembers(simulation).size() == 5; }, kLimit));
  for (const auto& [id, member] : WebPool(simulation).members) {
    CHECK(member.record.instance().dna_revision() == dna_revision);
  }
  CheckNothingStray(simulation);
}

TEST_CASE("a suspended instance that is restarted waits until another one is suspended") {
  Simulation simulation;
  PrepareByHand(simulation);
  const std::string name = FirstIn(simulation, I::SUSPENDED, I::SHADOW);
  REQUIRE(simulation.Call(Restart(name)).ok());
  int fewest = 2;
  REQUIRE(simulation.RunUntil(
      [&] {
        fewest = std::min(fewest, CountMembers(simulation, I::SUSPENDED));
        return InstanceNamed(simulation, name) == nullptr;
      },
      kLimit));
  CHECK(fewest == 2);
  CHECK(CountMembers(simulation, I::SUSPENDED) == 2);
}

TEST_CASE("while no other instance can be made, one that is to be restarted serves on") {
  Simulation simulation;
  PrepareByHand(simulation);
  const std::string name = FirstIn(simulation, I::ACTIVE, I::BASE);
  simulation.provider.Fail(FakeProvider::Verb::kCreate, "", absl::UnknownError("no"), 1'000'000);
  REQUIRE(simulation.Call(Restart(name)).ok());
  CHECK_FALSE(simulation.RunUntil([&] { return !BaseServes(simulation); }, absl::Minutes(10)));
  CHECK(InstanceNamed(simulation, name)->restarting());
}

TEST_CASE("a restart by hand is carried out whenever the daemon is killed") {
  for (int input = 1; input <= 60; ++input) {
    Simulation simulation;
    PrepareByHand(simulation);
    const std::string name = FirstIn(simulation, I::ACTIVE, I::BASE);
    simulation.KillAfter(simulation.inputs() + input, input % 2 == 0
                                                          ? Simulation::UnderWay::kDone
                                                          : Simulation::UnderWay::kNotDone);
    REQUIRE(Insist(simulation, Restart(name), "restart").ok());
    INFO("killed after input " << input);
    int fewest = kBaseByHand;
    CHECK(simulation.RunUntil(
        [&] {
          fewest = std::min(fewest, CountMembers(simulation, I::ACTIVE, I::BASE));
          return InstanceNamed(simulation, name) == nullptr;
        },
        kLimit));
    CHECK(fewest == kBaseByHand);
    simulation.Run(absl::Minutes(1));
    CHECK(BaseServes(simulation));
    CheckNothingStray(simulation);
  }
}

TEST_CASE("a cordoned instance runs without traffic, and another one is made in its place") {
  const bool balancer = GENERATE(true, false);
  Simulation simulation;
  PrepareByHand(simulation, balancer);
  const std::string name = FirstIn(simulation, I::ACTIVE, I::BASE);
  REQUIRE(simulation.Call(Cordon(name)).ok());
  CHECK(InstanceNamed(simulation, name)->state() == I::DRAINING);
  REQUIRE(simulation.RunUntil([&] { return BaseServes(simulation); }, kLimit));
  simulation.Run(absl::Minutes(10));
  const I* cordoned = InstanceNamed(simulation, name);
  REQUIRE(cordoned != nullptr);
  CHECK(cordoned->cordoned());
  CHECK(cordoned->state() == I::DRAINING);
  CHECK(cordoned->weight_percent() == 0);
  CHECK(LifeOf(simulation, name) == Life::kRunning);
  CHECK(BaseServes(simulation));
  CHECK_FALSE(WebPool(simulation).record.pool().reconciling());
  if (balancer) CHECK_FALSE(BalancerAddresses(simulation).contains(cordoned->address()));

  REQUIRE(simulation.Call(Uncordon(name)).ok());
  // There are two others, which are nearer to serving.
  REQUIRE(simulation.RunUntil([&] { return InstanceNamed(simulation, name) == nullptr; }, kLimit));
  CHECK(BaseServes(simulation));
}

TEST_CASE("an uncordoned instance serves again where it is needed, and a restarted one goes") {
  Simulation simulation;
  PrepareByHand(simulation);
  const std::string name = FirstIn(simulation, I::ACTIVE, I::BASE);
  simulation.provider.Fail(FakeProvider::Verb::kCreate, "", absl::UnknownError("no"), 1'000'000);
  REQUIRE(simulation.Call(Cordon(name)).ok());
  simulation.Run(absl::Minutes(1));
  CHECK_FALSE(BaseServes(simulation));
  REQUIRE(simulation.Call(Uncordon(name)).ok());
  REQUIRE(simulation.RunUntil([&] { return BaseServes(simulation); }, kLimit));
  CHECK(InstanceNamed(simulation, name)->state() == I::ACTIVE);

  REQUIRE(simulation.Call(Cordon(name)).ok());
  simulation.Run(absl::Minutes(1));
  REQUIRE(simulation.Call(Restart(name)).ok());
  CHECK(simulation.RunUntil([&] { return InstanceNamed(simulation, name) == nullptr; }, kLimit));
}

TEST_CASE("a cordoned suspended instance is never woken, and its shadow pool waits for it") {
  Simulation simulation;
  PrepareByHand(simulation);
  const std::string name = FirstIn(simulation, I::SUSPENDED, I::SHADOW);
  const std::string shadow = OnlyShadow(simulation)->name();
  REQUIRE(simulation.Call(Cordon(name)).ok());
  REQUIRE(simulation.Call(Activate(shadow, 100)).ok());
  REQUIRE(Reaches(simulation, S::ACTIVE, 3, MisledTraffic::kNever));
  simulation.Run(absl::Hours(3));  // Longer than a suspended one goes unchecked.
  CHECK(InstanceNamed(simulation, name)->state() == I::SUSPENDED);
  CHECK(OnlyShadow(simulation)->suspended_instances() == 0);

  REQUIRE(simulation.Call(DeleteShadow(shadow)).ok());
  simulation.Run(absl::Minutes(5));
  REQUIRE(OnlyShadow(simulation) != nullptr);
  CHECK(OnlyShadow(simulation)->state() == S::DELETING);
  CHECK(LifeOf(simulation, name) == Life::kSuspended);
  REQUIRE(simulation.Call(Uncordon(name)).ok());
  CHECK(simulation.RunUntil([&] { return WebPool(simulation).shadows.empty(); }, kLimit));
}

TEST_CASE("a cordoned instance that dies is replaced by nobody, and its cordon ends") {
  Simulation simulation;
  PrepareByHand(simulation);
  const std::string name = FirstIn(simulation, I::ACTIVE, I::BASE);
  REQUIRE(simulation.Call(Cordon(name)).ok());
  simulation.Run(absl::Minutes(1));
  REQUIRE(LiveMembers(simulation).size() == 6);
  simulation.provider.Exit(LastId(name), "exit status 1");
  REQUIRE(simulation.RunUntil([&] { return InstanceNamed(simulation, name)->state() == I::FAILED; },
                              kLimit));
  CHECK_FALSE(InstanceNamed(simulation, name)->cordoned());
  simulation.Run(absl::Minutes(1));
  CHECK(LiveMembers(simulation).size() == 5);
}

TEST_CASE("a pool that is deleted takes its cordoned instances with it") {
  Simulation simulation;
  PrepareByHand(simulation);
  REQUIRE(simulation.Call(Cordon(FirstIn(simulation, I::ACTIVE, I::BASE))).ok());
  REQUIRE(simulation.Call(Cordon(FirstIn(simulation, I::SUSPENDED, I::SHADOW))).ok());
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), 0)).ok());
  REQUIRE(Reaches(simulation, S::SUSPENDED, 0, MisledTraffic::kNever));
  v1::DeletePoolRequest request;
  request.set_name(kPool);
  REQUIRE(simulation.Call(request).ok());
  CHECK(simulation.RunUntil([&] { return simulation.world().pools.empty(); }, kLimit));
  CHECK(simulation.provider.Lives().empty());
}

TEST_CASE("a cordon outlives every kill of the daemon") {
  for (int input = 1; input <= 40; ++input) {
    Simulation simulation;
    PrepareByHand(simulation);
    const std::string name = FirstIn(simulation, I::ACTIVE, I::BASE);
    simulation.KillAfter(simulation.inputs() + input, input % 2 == 0
                                                          ? Simulation::UnderWay::kDone
                                                          : Simulation::UnderWay::kNotDone);
    INFO("killed after input " << input);
    REQUIRE(Insist(simulation, Cordon(name), "cordon").ok());
    simulation.Run(absl::Minutes(2));
    CHECK(BaseServes(simulation));
    const I* cordoned = InstanceNamed(simulation, name);
    REQUIRE(cordoned != nullptr);
    CHECK(cordoned->cordoned());
    CHECK(LifeOf(simulation, name) == Life::kRunning);
    CHECK(BalancerAddresses(simulation) == ActiveAddresses(simulation));
  }
}

TEST_CASE("what is done to an instance by hand is refused where it means nothing") {
  Simulation simulation;
  PrepareByHand(simulation);
  const std::string name = FirstIn(simulation, I::ACTIVE, I::BASE);
  CHECK(ErrorField(simulation.Call(Restart("pools/web")).status()) == "name");
  CHECK(ErrorReason(simulation.Call(Cordon("pools/web/instances/i1000")).status()) ==
        "INSTANCE_NOT_FOUND");
  CHECK(ErrorReason(simulation.Call(Cordon("pools/no/instances/i1")).status()) == "POOL_NOT_FOUND");
  v1::CordonInstanceRequest check = Cordon(name);
  check.set_validate_only(true);
  REQUIRE(simulation.Call(check).ok());
  CHECK_FALSE(InstanceNamed(simulation, name)->cordoned());
  REQUIRE(simulation.Call(Restart(name)).ok());
  CHECK(simulation.Call(Restart(name)).ok());  // It is already.
  CHECK(ErrorReason(simulation.Call(Cordon(name)).status()) == "INSTANCE_RESTARTING");
  CHECK(simulation.Call(Uncordon(name)).ok());  // It is not cordoned.
  simulation.provider.Exit(LastId(name), "exit status 1");
  REQUIRE(simulation.RunUntil([&] { return InstanceNamed(simulation, name)->state() == I::FAILED; },
                              kLimit));
  CHECK(ErrorReason(simulation.Call(Restart(name)).status()) == "INSTANCE_LEAVING");
}

TEST_CASE("a pool whose rollout is paused stays at its revision until it goes on") {
  Simulation simulation;
  PrepareByHand(simulation);
  const std::string before = WebPool(simulation).record.pool().dna_revision();
  const auto pause = [&](bool paused) {
    v1::UpdatePoolRequest request;
    request.mutable_pool()->set_name(kPool);
    request.mutable_pool()->set_rollout_paused(paused);
    request.mutable_update_mask()->add_paths("rollout_paused");
    return simulation.Call(request).status();
  };
  v1::UpdatePoolRequest one_at_a_time;  // So that there is a midst.
  *one_at_a_time.mutable_pool() = CreatePool(kBaseByHand).pool();
  one_at_a_time.mutable_pool()->mutable_policy()->set_max_concurrent_creations(1);
  one_at_a_time.mutable_update_mask()->add_paths("policy");
  REQUIRE(simulation.Call(one_at_a_time).ok());
  REQUIRE(pause(true).ok());
  REQUIRE(simulation.Call(UpdateDna()).ok());
  simulation.Run(absl::Minutes(5));
  CHECK(WebPool(simulation).record.pool().dna_revision() == before);
  for (const auto& [id, life] : simulation.provider.Lives()) {
    CHECK(simulation.provider.RevisionOf(id) == before);
  }
  REQUIRE(pause(false).ok());
  const std::string after = WebPool(simulation).record.pool().dna_revision();
  CHECK(after != before);

  // In the midst of it: one new instance serves, and an old one.
  const auto of_base = [&](const std::string& revision) {
    int count = 0;
    for (const auto& [id, member] : WebPool(simulation).members) {
      const I& instance = member.record.instance();
      count += member.shadow.empty() && instance.state() == I::ACTIVE &&
               instance.dna_revision() == revision;
    }
    return count;
  };
  REQUIRE(simulation.RunUntil([&] { return of_base(after) == 1 && of_base(before) == 1; }, kLimit));
  REQUIRE(pause(true).ok());
  simulation.Run(absl::Minutes(5));
  CHECK(of_base(before) == 1);
  CHECK(of_base(after) == 1);
  CHECK_FALSE(WebPool(simulation).record.pool().reconciling());
  REQUIRE(pause(false).ok());
  CHECK(simulation.RunUntil([&] { return of_base(after) == 2 && of_base(before) == 0; }, kLimit));
}

}  // namespace shadow
