// Suspended instances are resumed, warmed up, verified and suspended again now and then.
#include "server/core/loop/checks/suspended_check.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using I = v1::Instance;
using T = InstanceTask;

constexpr absl::Duration kCheckInterval = absl::Minutes(10);
// More than what it takes until one that is due is checked, and from its verification until the
// base serves too.
constexpr absl::Duration kCheckedLimit = absl::Seconds(10);

// A base of one, and a shadow of so many that are made by hand and rest.
void MakeRestingShadow(Simulation& simulation, int instances, absl::Duration interval) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  v1::CreatePoolRequest pool = CreatePool(1);
  *pool.mutable_pool()->mutable_policy()->mutable_suspended_check_interval() = ToProto(interval);
  REQUIRE(simulation.Call(pool).ok());
  REQUIRE(simulation.Call(CreateShadow(50 * (instances + 1))).ok());
  REQUIRE(simulation.RunUntil(
      [&] {
        return ShadowIs(simulation, v1::ShadowPool::SUSPENDED) &&
               CountMembers(simulation, I::ACTIVE, I::BASE) == 1;
      },
      kLimit));
  REQUIRE(OnlyShadow(simulation)->suspended_instances() == instances);
}

// Ids of those that are being checked.
std::set<std::string> Checked(const Simulation& simulation) {
  std::set<std::string> ids;
  for (const auto& [id, member] : simulation.world().pools.at("web").members) {
    if (member.record.checking()) ids.insert(id);
  }
  return ids;
}

bool AnyChecked(const Simulation& simulation) { return !Checked(simulation).empty(); }

// The task of the one that is checked.
bool ChecksBy(const Simulation& simulation, T task) {
  const auto& members = simulation.world().pools.at("web").members;
  return std::any_of(members.begin(), members.end(), [task](const auto& entry) {
    return entry.second.record.checking() && entry.second.task == task;
  });
}

std::map<std::string, I> ShadowInstances(const Simulation& simulation) {
  std::map<std::string, I> instances;
  for (const auto& [id, member] : simulation.world().pools.at("web").members) {
    if (!member.shadow.empty()) instances[id] = member.record.instance();
  }
  return instances;
}

// Messages of the events of the shadow and its instances.
std::vector<std::string> ShadowEvents(const Simulation& simulation) {
  std::vector<std::string> messages;
  for (const v1::Event& event : simulation.store().events()) {
    if (event.name().find("/shadowPools/") != std::string::npos) {
      messages.push_back(event.message());
    }
  }
  return messages;
}

int CountOfText(const std::vector<std::string>& messages, const std::string& text) {
  return static_cast<int>(std::count_if(
      messages.begin(), messages.end(),
      [&](const std::string& message) { return message.find(text) != std::string::npos; }));
}

TEST_CASE("suspended instances are checked on time, one at a time, without traffic or events") {
  Simulation simulation;
  MakeRestingShadow(simulation, 3, kCheckInterval);
  const std::vector<std::string> told = ShadowEvents(simulation);
  const int verified = simulation.provider.Calls(FakeProvider::Verb::kVerify);
  const int resumed = simulation.provider.Calls(FakeProvider::Verb::kResume);
  const absl::Time begun = simulation.now().wall;
  CHECK_FALSE(
      simulation.RunUntil([&] { return AnyChecked(simulation); }, kCheckInterval - kCheckedLimit));

  std::set<std::string> checked;
  size_t most = 0;
  bool balanced = false;
  bool rested = true;
  simulation.RunUntil(
      [&] {
        const std::set<std::string> now = Checked(simulation);
        checked.insert(now.begin(), now.end());
        most = std::max(most, now.size());
        balanced |= BalancerAddresses(simulation).size() != 1;
        rested &= ShadowIs(simulation, v1::ShadowPool::SUSPENDED) &&
                  OnlyShadow(simulation)->suspended_instances() == 3;
        return false;
      },
      2 * kCheckedLimit);
  CHECK(checked.size() == 3);
  CHECK(most == 1);
  CHECK_FALSE(balanced);
  CHECK(rested);
  CHECK(simulation.provider.Calls(FakeProvider::Verb::kVerify) == verified + 3);
  CHECK(simulation.provider.Calls(FakeProvider::Verb::kResume) == resumed + 3);
  for (const auto& [id, instance] : ShadowInstances(simulation)) {
    CHECK(instance.state() == I::SUSPENDED);
    CHECK(simulation.provider.Lives().at(id) == Life::kSuspended);
    CHECK(simulation.prober.WarmUps(instance.address()) == 1);
    CHECK(FromProto(instance.check_time()) > begun);
  }
  CHECK(ShadowEvents(simulation) == told);
  CHECK_FALSE(simulation.RunUntil([&] { return AnyChecked(simulation); },
                                  kCheckInterval - 2 * kCheckedLimit));
  CHECK(simulation.RunUntil([&] { return AnyChecked(simulation); }, 3 * kCheckedLimit));
}

TEST_CASE("with an interval of 0 no suspended instance is checked") {
  Simulation simulation;
  MakeRestingShadow(simulation, 1, absl::ZeroDuration());
  CHECK_FALSE(simulation.RunUntil([&] { return AnyChecked(simulation); }, absl::Hours(3)));
}

TEST_CASE("no instance is checked while demand needs more than what serves") {
  Simulation simulation;
  MakeRestingShadow(simulation, 2, kCheckInterval);  // In OBSERVE: nothing is woken.
  CHECK_FALSE(
      RunUnder(simulation, 150, 2 * kCheckInterval, [&] { return AnyChecked(simulation); }));
  CHECK(RunUnder(simulation, 10, absl::Minutes(1), [&] { return AnyChecked(simulation); }));
}

TEST_CASE("no instance is checked while its provider does not answer") {
  Simulation simulation;
  MakeRestingShadow(simulation, 1, kCheckInterval);
  simulation.provider.Fail(FakeProvider::Verb::kList, "", absl::UnavailableError("no answer"),
                           1'000'000);
  CHECK_FALSE(simulation.RunUntil([&] { return AnyChecked(simulation); }, 2 * kCheckInterval));
}

TEST_CASE("no instance is checked while another one of its pool is on its way") {
  Simulation simulation;
  MakeRestingShadow(simulation, 2, kCheckInterval);
  simulation.Run(kCheckInterval - 2 * kCheckedLimit);
  FakeProber::Behaviour never;
  never.checks_until_ready = 1'000'000;
  simulation.prober.SetDefault(never);
  simulation.provider.Exit(ShadowInstances(simulation).begin()->first, "exit status 1");
  // The check of the other one falls due, while the new one does not get ready.
  CHECK_FALSE(simulation.RunUntil([&] { return AnyChecked(simulation); }, 3 * kCheckedLimit));
  CHECK(CountMembers(simulation, I::CREATING) == 1);
  simulation.prober.SetDefault({});
  CHECK(simulation.RunUntil([&] { return AnyChecked(simulation); }, kLimit));
}

TEST_CASE("an instance that is wanted while it is checked goes on and serves") {
  for (const T stage : {T::kResume, T::kWarmUp, T::kVerify, T::kSuspend}) {
    INFO(RowOf(stage).name);
    Simulation simulation;
    MakeRestingShadow(simulation, 1, kCheckInterval);
    if (stage == T::kVerify) {  // It never ends.
      simulation.provider.Fail(FakeProvider::Verb::kVerify, "", absl::UnavailableError("busy"),
                               1'000'000);
    }
    REQUIRE(simulation.RunUntil([&] { return ChecksBy(simulation, stage); },
                                kCheckInterval + kCheckedLimit));
    REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), 100)).ok());
    CHECK_FALSE(AnyChecked(simulation));
    bool misled = false;
    CHECK(simulation.RunUntil(
        [&] {
          misled |= !simulation.MisledTraffic().empty();
          return CountMembers(simulation, I::ACTIVE) == 1 &&
                 BalancerAddresses(simulation) == ActiveAddresses(simulation);
        },
        absl::Seconds(10)));
    CHECK_FALSE(misled);
    const I instance = ShadowInstances(simulation).begin()->second;
    CHECK(instance.woken());
    CHECK(instance.has_first_serve_time());
    CHECK(CountOfText(ShadowEvents(simulation), ": wanted while it is checked") == 1);
    // Nobody knows how long the whole way would have taken.
    CHECK(simulation.world().pools.at("web").record.waking().bursts_size() == 0);
  }
}

TEST_CASE("instances that fail their check are replaced one after the other, and say why") {
  Simulation simulation;
  MakeRestingShadow(simulation, 3, kCheckInterval);
  std::set<std::string> rotten;
  for (const auto& [id, instance] : ShadowInstances(simulation)) rotten.insert(id);
  simulation.provider.Set([&rotten](FakeProvider::Knobs& knobs) {
    knobs.differences = [&rotten](const InstanceSpec& instance, Provider::Part) {
      if (!rotten.contains(instance.id)) return Provider::Differences{};
      return Provider::Differences{"dna.data_sets[catalogue].sha256: wanted 1, found 2"};
    };
  });
  int fewest = 3;
  const bool replaced = simulation.RunUntil(
      [&] {
        fewest = std::min(fewest, OnlyShadow(simulation)->suspended_instances());
        const auto instances = ShadowInstances(simulation);
        return std::count_if(instances.begin(), instances.end(), [&](const auto& entry) {
                 return entry.second.state() == I::SUSPENDED && !rotten.contains(entry.first);
               }) == 3;
      },
      kCheckInterval + kLimit);
  CHECK(replaced);
  CHECK(fewest == 2);
  CHECK(CountOfText(ShadowEvents(simulation),
                    "WARMING -> FAILED: its check while suspended: differs from its DNA: "
                    "dna.data_sets[catalogue].sha256: wanted 1, found 2") == 3);
  for (const std::string& id : rotten) CHECK_FALSE(simulation.provider.Lives().contains(id));
  // It is no failure to make instances.
  CHECK(simulation.world().pools.at("web").shadows.begin()->second.backoff.consecutive_failures ==
        0);
}

TEST_CASE("a check that a kill interrupts goes on after the restart") {
  for (const T stage : {T::kResume, T::kWarmUp, T::kVerify, T::kSuspend}) {
    for (const auto under_way : {Simulation::UnderWay::kDone, Simulation::UnderWay::kNotDone}) {
      INFO(RowOf(stage).name);
      Simulation simulation;
      MakeRestingShadow(simulation, 1, kCheckInterval);
      const absl::Time begun = simulation.now().wall;
      const std::set<std::string> before = LiveMembers(simulation);
      REQUIRE(simulation.RunUntil([&] { return ChecksBy(simulation, stage); },
                                  kCheckInterval + kCheckedLimit));
      simulation.KillAfter(simulation.inputs() + 1, under_way);
      bool balanced = false;
      CHECK(simulation.RunUntil(
          [&] {
            balanced |= BalancerAddresses(simulation).size() > 1;
            const auto instances = ShadowInstances(simulation);
            return simulation.starts() == 2 && instances.size() == 1 &&
                   instances.begin()->second.state() == I::SUSPENDED &&
                   FromProto(instances.begin()->second.check_time()) > begun;
          },
          kLimit));
      CHECK_FALSE(balanced);
      CHECK(LiveMembers(simulation) == before);
      CHECK_FALSE(AnyChecked(simulation));
    }
  }
}

}  // namespace
}  // namespace shadow
