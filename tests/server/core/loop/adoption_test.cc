// An older copy of the store takes over what a newer one has left behind.
#include "server/core/adoption/adoption.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "server/core/adoption/lineage.h"
#include "server/core/names.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using I = v1::Instance;
using S = v1::ShadowPool;

std::vector<Survivor> Survivors(Simulation& simulation, const v1::StoreContents& newer) {
  std::vector<Survivor> survivors;
  const auto all = simulation.provider.List();
  for (const Observation& seen : *all) {
    Survivor one;
    one.seen = seen;
    one.note.dna_revision = simulation.provider.RevisionOf(seen.id);
    one.note.create_time = simulation.now().wall;
    for (const auto& record : newer.instances()) {
      const std::string& name = record.instance().name();
      if (name.ends_with("/" + seen.id)) one.note.name = name;
    }
    survivors.push_back(one);
  }
  return survivors;
}

// One that no store of these tests has made yet.
Survivor Newer(Life life, const CreationNote& note) {
  Survivor one;
  one.seen.id = "i900";
  one.seen.life = life;
  one.seen.address = "127.0.0.1:9";
  one.note = note;
  return one;
}

Adoption AdoptAll(Simulation& simulation, const v1::StoreContents& older) {
  return Adopt(older, "process", Survivors(simulation, simulation.store().Contents()),
               {{kPool, *simulation.balancers[kPool].View()}}, simulation.now().wall);
}

// The daemon is killed, and starts again on `older`, which has adopted what lives.
void StartOnOlder(Simulation& simulation, StoreImage older) {
  simulation.while_down = [&simulation, older]() mutable {
    const Adoption adoption = AdoptAll(simulation, older.Contents());
    CHECK(adoption.refused.empty());
    CHECK(adoption.foreign > 0);
    v1::StoreContents applied = older.Contents();
    ApplyAdoption(adoption.batch, applied);
    older.Apply(adoption.batch);
    CHECK(applied.last_revision() == older.Contents().last_revision());
    CHECK(applied.instances_size() == older.Contents().instances_size());
    CHECK(applied.shadows_size() == older.Contents().shadows_size());
    simulation.PutBack(older);
  };
  simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kDone);
  const int starts = simulation.starts();
  REQUIRE(simulation.RunUntil([&] { return simulation.starts() > starts; }, kLimit));
}

int64_t HighestNumber(const Simulation& simulation) {
  int64_t highest = 0;
  for (const std::string& id : ProviderIds(simulation)) {
    highest = std::max(highest, InstanceNumber(id));
  }
  return highest;
}

void CreateWeb(Simulation& simulation) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(2)).ok());
  REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == 2; },
                              kLimit));
}

// Two instances.
void CreateSuspendedShadow(Simulation& simulation) {
  REQUIRE(simulation.Call(CreateShadow(200)).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::SUSPENDED); }, kLimit));
}

void ActivateShadow(Simulation& simulation, int level) {
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), level)).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kLimit));
}

void ReplaceOneOfTheBase(Simulation& simulation) {
  std::string first;
  for (const auto& [id, member] : simulation.world().pools.at("web").members) {
    if (member.record.instance().state() == I::ACTIVE && member.shadow.empty()) first = id;
  }
  simulation.provider.Exit(first, "killed by SIGKILL");
  REQUIRE(simulation.RunUntil(
      [&] {
        return !simulation.provider.Lives().contains(first) &&
               CountMembers(simulation, I::ACTIVE, I::BASE) == 2;
      },
      kLimit));
}

TEST_CASE("what a newer store made is adopted as it is, and goes on as if nothing had been lost") {
  // What the older copy does not know.
  const bool knows_shadow = GENERATE(false, true);
  Simulation simulation;
  CreateWeb(simulation);
  if (knows_shadow) CreateSuspendedShadow(simulation);
  const StoreImage older = simulation.store();
  if (!knows_shadow) CreateSuspendedShadow(simulation);
  ReplaceOneOfTheBase(simulation);
  ActivateShadow(simulation, 50);

  const std::set<std::string> living = ProviderIds(simulation);
  const std::set<std::string> serving = BalancerAddresses(simulation);
  const auto lives = simulation.provider.Lives();
  REQUIRE(living.size() == 4);
  REQUIRE(serving.size() == 3);
  using Verb = FakeProvider::Verb;
  const int creations = simulation.provider.Calls(Verb::kCreate);
  const int ends = simulation.provider.Calls(Verb::kDestroy);
  const int suspensions = simulation.provider.Calls(Verb::kSuspend);

  StartOnOlder(simulation, older);
  for (int i = 0; i < 60; ++i) {
    simulation.Run(absl::Seconds(1));
    CHECK(BalancerAddresses(simulation) == serving);
    CHECK(simulation.MisledTraffic().empty());
  }
  CHECK(LiveMembers(simulation) == living);
  CHECK(ActiveAddresses(simulation) == serving);
  CHECK(simulation.provider.Lives() == lives);
  CHECK(simulation.provider.Calls(Verb::kCreate) == creations);
  CHECK(simulation.provider.Calls(Verb::kDestroy) == ends);
  CHECK(simulation.provider.Calls(Verb::kSuspend) == suspensions);
  REQUIRE(ShadowIs(simulation, S::ACTIVE));
  CHECK(OnlyShadow(simulation)->target_instances() == 2);
  CHECK(OnlyShadow(simulation)->target_activation_level() == 50);

  // No id of the lost store comes again.
  const int64_t highest = HighestNumber(simulation);
  ReplaceOneOfTheBase(simulation);
  CHECK(HighestNumber(simulation) > highest);
  CHECK(simulation.provider.Lives().size() == 4);
}

TEST_CASE("an adopted instance of a base that is larger than its pool is drained, not cut off") {
  Simulation simulation;
  CreateWeb(simulation);
  const StoreImage older = simulation.store();
  v1::UpdatePoolRequest larger;
  *larger.mutable_pool() = CreatePool(3).pool();
  larger.mutable_update_mask()->add_paths("managed_instances");
  REQUIRE(simulation.Call(larger).ok());
  REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == 3; },
                              kLimit));
  StartOnOlder(simulation, older);
  CHECK(BalancerAddresses(simulation).size() == 3);
  REQUIRE(simulation.RunUntil([&] { return ProviderIds(simulation).size() == 2; }, kLimit));
  CHECK(simulation.MisledTraffic().empty());
  CHECK(CountMembers(simulation, I::ACTIVE, I::BASE) == 2);
}

TEST_CASE("an instance is adopted only where the store knows its pool and its DNA") {
  Simulation simulation;
  CreateWeb(simulation);
  const v1::StoreContents contents = simulation.store().Contents();
  const std::string dna = contents.pools(0).pool().dna_revision();
  struct Row {
    CreationNote note;
    std::string why;
  };
  const std::vector<Row> rows = {
      {{"", dna, {}}, "its record does not name it"},
      {{"pools/web", dna, {}}, "its record does not name it"},
      {{"pools/../instances/i900", dna, {}}, "its record does not name it"},
      {{"pools/web/instances/i899", dna, {}}, "its record does not name it"},
      {{"pools/other/instances/i900", dna, {}}, "its pool, pools/other, is not in the store"},
      {{"pools/web/instances/i900", "", {}},
       "its record does not say its DNA: an older shadowd has started it"},
      {{"pools/web/instances/i900", "dnas/web@0123456789ab", {}},
       "its DNA, dnas/web@0123456789ab, is not in the store"},
      {{"pools/web/instances/i900", dna, {}}, ""},
      {{"pools/web/shadowPools/r0123456789ab/instances/i900", dna, {}}, ""},
  };
  for (const Row& row : rows) {
    INFO(row.note.name << " " << row.note.dna_revision);
    std::vector<Survivor> survivors = Survivors(simulation, contents);
    survivors.push_back(Newer(Life::kSuspended, row.note));
    const Adoption adoption = Adopt(contents, "process", survivors, {}, simulation.now().wall);
    CHECK(adoption.foreign == 1);
    CHECK(adoption.refused.size() == (row.why.empty() ? 0 : 1));
    if (!adoption.refused.empty()) {
      CHECK(adoption.refused[0].id == "i900");
      CHECK(adoption.refused[0].why == row.why);
    }
    CHECK(adoption.batch.put_instances_size() == (row.why.empty() ? 1 : 0));
    for (const v1::Event& event : adoption.batch.events()) CHECK(event.revision() > 900);
  }
}

TEST_CASE("how an instance is found says in which state it is adopted") {
  Simulation simulation;
  CreateWeb(simulation);
  const v1::StoreContents contents = simulation.store().Contents();
  struct Row {
    Life life;
    bool has_balancer;
    std::optional<int> weight_percent;  // At the balancer; unset: it does not know it.
    bool draining;
    I::State state;
    bool balanced;
  };
  const std::vector<Row> rows = {
      {Life::kRunning, false, {}, false, I::ACTIVE, false},
      {Life::kRunning, true, 100, false, I::ACTIVE, true},
      {Life::kRunning, true, 25, false, I::ACTIVE, true},
      {Life::kRunning, true, 0, false, I::CREATING, false},
      {Life::kRunning, true, 0, true, I::DRAINING, true},
      {Life::kRunning, true, {}, false, I::CREATING, false},
      {Life::kStarting, true, {}, false, I::CREATING, false},
      {Life::kSuspended, true, {}, false, I::SUSPENDED, false},
      {Life::kSuspended, false, {}, false, I::SUSPENDED, false},
      {Life::kStopping, true, {}, false, I::DELETING, false},
      {Life::kExited, true, {}, false, I::FAILED, false},
  };
  for (const Row& row : rows) {
    std::vector<Survivor> survivors = Survivors(simulation, contents);
    survivors.push_back(Newer(row.life, {.name = "pools/web/instances/i900",
                                         .dna_revision = contents.pools(0).pool().dna_revision()}));
    BalancerViews views;
    if (row.has_balancer) {
      views[kPool] = *simulation.balancers[kPool].View();
      if (row.weight_percent.has_value()) {
        BalancerMember member;
        member.address = "127.0.0.1:9";
        member.weight_percent = *row.weight_percent;
        member.draining = row.draining;
        views[kPool].members.push_back(member);
      }
    }
    const Adoption adoption = Adopt(contents, "process", survivors, views, simulation.now().wall);
    REQUIRE(adoption.batch.put_instances_size() == 1);
    const v1::InstanceRecord& record = adoption.batch.put_instances(0);
    INFO(record.ShortDebugString());
    CHECK(record.instance().state() == row.state);
    CHECK(record.balanced() == row.balanced);
    CHECK(record.want() != v1::InstanceRecord::WANT_UNSPECIFIED);
    v1::StoreContents adopted = contents;
    ApplyAdoption(adoption.batch, adopted);
    ControlLoop loop({});
    REQUIRE(loop.Load(adopted, simulation.now()).ok());
    loop.Recover(simulation.now());
  }
}

TEST_CASE(
    "what a store cannot know is of an epoch it does not go on from, or later than it knows") {
  const Lineage lineage{.epoch = "a/2", .past = {{"a/1", 10}, {"b/1", 40}}};
  struct Row {
    std::string id;
    std::string epoch;
    bool foreign;
  };
  for (const Row& row : std::vector<Row>{
           {"i30", "a/2", false},
           {"i31", "a/2", true},
           {"i10", "a/1", false},
           {"i11", "a/1", true},
           {"i40", "b/1", false},
           {"i41", "b/1", true},
           {"i1", "c/1", true},
           {"i30", "", false},  // Of an older daemon.
           {"i31", "", true},
           {"x", "", false},
           {"x", "c/1", true},
       }) {
    INFO(row.id << " " << row.epoch);
    Observation seen;
    seen.id = row.id;
    seen.epoch = row.epoch;
    CHECK(IsForeign(lineage, 30, seen) == row.foreign);
  }
}

TEST_CASE("what another epoch made is adopted with it, unless the store means another by its id") {
  Simulation simulation;
  CreateWeb(simulation);
  v1::StoreContents contents = simulation.store().Contents();
  contents.set_epoch("a/2");
  contents.set_last_revision(1000);
  std::vector<Survivor> survivors = Survivors(simulation, contents);
  REQUIRE(survivors.size() == 2);
  for (Survivor& one : survivors) one.seen.epoch = "a/1";
  survivors.push_back(Newer(Life::kSuspended, survivors[0].note));
  survivors[2].note.name = "pools/web/instances/i900";
  survivors[2].seen.epoch = "a/1";
  const auto adopt = [&] {
    return Adopt(contents, "process", survivors, {}, simulation.now().wall);
  };
  const Adoption adoption = adopt();
  CHECK(adoption.foreign == 3);
  CHECK(adoption.refused.empty());
  REQUIRE(adoption.batch.put_epochs_size() == 1);
  CHECK(adoption.batch.put_epochs(0).epoch() == "a/1");
  CHECK(adoption.batch.put_epochs(0).last_revision() == 900);
  v1::StoreContents adopted = contents;
  ApplyAdoption(adoption.batch, adopted);
  for (const Survivor& one : survivors) {
    CHECK_FALSE(IsForeign(LineageOf(adopted), adopted.last_revision(), one.seen));
  }
  CHECK(Adopt(adopted, "process", survivors, {}, simulation.now().wall).foreign == 0);

  survivors[0].note.name = "pools/web/shadowPools/r0123456789ab/instances/" + survivors[0].seen.id;
  const Adoption refused = adopt();
  REQUIRE(refused.refused.size() == 1);
  CHECK(refused.refused[0].id == survivors[0].seen.id);
  CHECK(refused.refused[0].why ==
        "its id is that of pools/web/instances/" + survivors[0].seen.id + " in the store");
}

TEST_CASE("where no instance is newer than the store, there is nothing to adopt") {
  Simulation simulation;
  CreateWeb(simulation);
  const v1::StoreContents contents = simulation.store().Contents();
  std::vector<Survivor> survivors = Survivors(simulation, contents);
  survivors.pop_back();  // One that is gone is what a start finds often.
  const Adoption adoption = Adopt(contents, "process", survivors, {}, simulation.now().wall);
  CHECK(adoption.foreign == 0);
  CHECK(adoption.refused.empty());
  CHECK(adoption.batch.ByteSizeLong() == 0);
}

}  // namespace
}  // namespace shadow
