// A registry that is lost altogether: its pools come back with what lives of them.
#include "server/core/adoption/revival.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "server/core/adoption/adoption.h"
#include "server/core/adoption/lineage.h"
#include "server/core/spec/output_fields.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using I = v1::Instance;
using S = v1::ShadowPool;

// As a start keeps it.
v1::Definitions KeptOf(const v1::StoreContents& contents) {
  v1::Definitions kept;
  for (const auto& record : contents.dnas()) *kept.add_dnas() = record.dna();
  for (const auto& record : contents.pools()) {
    v1::Pool& spec = *kept.add_pools();
    spec = record.pool();
    ClearOutputOnly(spec);
  }
  return kept;
}

// Made in an epoch of the lost store.
std::vector<Survivor> Orphans(Simulation& simulation, const v1::StoreContents& lost) {
  std::vector<Survivor> orphans;
  const auto all = simulation.provider.List();
  for (const Observation& seen : *all) {
    Survivor one;
    one.seen = seen;
    one.seen.epoch = "lost/1";
    one.note.dna_revision = simulation.provider.RevisionOf(seen.id);
    for (const auto& record : lost.instances()) {
      const std::string& name = record.instance().name();
      if (name.ends_with("/" + seen.id)) one.note.name = name;
    }
    orphans.push_back(one);
  }
  return orphans;
}

Adoption AdoptWithoutStore(Simulation& simulation, const v1::Definitions& kept) {
  const absl::Time now = simulation.now().wall;
  return Adopt({}, "process", Orphans(simulation, simulation.store().Contents()),
               {{kPool, *simulation.balancers[kPool].View()}}, now, Revive(kept, now));
}

void StartWithoutStore(Simulation& simulation) {
  simulation.while_down = [&simulation] {
    const Adoption adoption = AdoptWithoutStore(simulation, KeptOf(simulation.store().Contents()));
    CHECK(adoption.refused.empty());
    v1::StoreContents applied;
    ApplyAdoption(adoption.batch, applied);
    StoreImage store;
    store.Apply(adoption.batch);
    CHECK(applied.last_revision() == store.Contents().last_revision());
    CHECK(applied.pools_size() == store.Contents().pools_size());
    CHECK(applied.dnas_size() == store.Contents().dnas_size());
    CHECK(applied.instances_size() == store.Contents().instances_size());
    simulation.PutBack(store);
  };
  simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kDone);
  const int starts = simulation.starts();
  REQUIRE(simulation.RunUntil([&] { return simulation.starts() > starts; }, kLimit));
}

TEST_CASE("a pool of a lost registry comes back in OBSERVE, and what lives of it serves on") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(2, v1::Policy::AUTOMATIC)).ok());
  REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == 2; },
                              kLimit));
  v1::CreateShadowPoolRequest held = CreateShadow(200);
  *held.mutable_hold_duration() = ToProto(absl::Hours(1));
  REQUIRE(simulation.Call(held).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::SUSPENDED); }, kLimit));
  v1::ActivateShadowPoolRequest wake = Activate(OnlyShadow(simulation)->name(), 50);
  *wake.mutable_hold_duration() = ToProto(absl::Hours(1));
  REQUIRE(simulation.Call(wake).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kLimit));
  const std::set<std::string> living = ProviderIds(simulation);
  const std::set<std::string> serving = BalancerAddresses(simulation);
  REQUIRE(living.size() == 4);
  REQUIRE(serving.size() == 3);

  StartWithoutStore(simulation);
  // Without demand it would scale in, were it not for OBSERVE: holds are lost too.
  RunUnder(simulation, 1, absl::Minutes(20), [&] {
    CHECK(BalancerAddresses(simulation) == serving);
    return false;
  });
  CHECK(ProviderIds(simulation) == living);
  CHECK(LiveMembers(simulation) == living);
  CHECK(simulation.MisledTraffic().empty());
  const v1::Pool& pool = simulation.world().pools.at("web").record.pool();
  CHECK(pool.policy().mode() == v1::Policy::OBSERVE);
  CHECK(pool.managed_instances() == 2);
  REQUIRE(ShadowIs(simulation, S::ACTIVE));
  CHECK(OnlyShadow(simulation)->target_instances() == 2);
  CHECK(OnlyShadow(simulation)->target_activation_level() == 50);

  // A person agrees.
  v1::UpdatePoolRequest automatic;
  *automatic.mutable_pool() = CreatePool(2, v1::Policy::AUTOMATIC).pool();
  REQUIRE(simulation.Call(automatic).ok());
  CHECK(RunUnder(simulation, 1, absl::Hours(2), [&] {
    return ShadowIs(simulation, S::SUSPENDED) || OnlyShadow(simulation) == nullptr;
  }));
}

TEST_CASE("a base that was being made smaller is taken back as large as it is") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(3)).ok());
  REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == 3; },
                              kLimit));
  v1::UpdatePoolRequest smaller;
  *smaller.mutable_pool() = CreatePool(1).pool();
  REQUIRE(simulation.Call(smaller).ok());
  v1::Definitions kept = KeptOf(simulation.store().Contents());
  REQUIRE(kept.pools(0).managed_instances() == 1);
  const Adoption adoption = AdoptWithoutStore(simulation, kept);
  v1::StoreContents adopted;
  ApplyAdoption(adoption.batch, adopted);
  REQUIRE(adopted.pools_size() == 1);
  const int living = static_cast<int>(ProviderIds(simulation).size());
  REQUIRE(living > 1);
  CHECK(adopted.pools(0).pool().managed_instances() == living);
}

TEST_CASE("what a store that has lost all takes back is known to its next start") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(2)).ok());
  REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == 2; },
                              kLimit));
  const v1::StoreContents lost = simulation.store().Contents();
  v1::StoreContents adopted;
  ApplyAdoption(AdoptWithoutStore(simulation, KeptOf(lost)).batch, adopted);
  for (const Survivor& one : Orphans(simulation, lost)) {
    CHECK_FALSE(IsForeign(LineageOf(adopted), adopted.last_revision(), one.seen));
  }
  CHECK_FALSE(IsEmpty(adopted));
  CHECK(IsEmpty({}));
  ControlLoop loop({});
  CHECK(loop.Load(adopted, simulation.now()).ok());
}

TEST_CASE("nothing that was kept is believed") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  simulation.Run(absl::Seconds(1));
  REQUIRE(simulation.Call(UpdateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  v1::Definitions kept = KeptOf(simulation.store().Contents());
  REQUIRE(kept.dnas_size() == 2);
  const absl::Time now = simulation.now().wall;
  SECTION("as it is, all of it comes back, with the newest revision") {
    const Revival revival = Revive(kept, now);
    CHECK(revival.left_out.empty());
    CHECK(revival.dnas.size() == 2);
    REQUIRE(revival.pools.size() == 1);
    CHECK(revival.pools[0].pool().dna_revision() ==
          simulation.world().pools.at("web").record.pool().dna_revision());
  }
  SECTION("a DNA with another content than its revision says") {
    kept.mutable_dnas(0)->mutable_process()->set_argv(0, "/bin/false");
    const Revival revival = Revive(kept, now);
    REQUIRE(revival.left_out.size() == 1);
    CHECK(revival.left_out[0].find("its content is that of revision") != std::string::npos);
    CHECK(revival.dnas.size() == 1);
  }
  SECTION("a pool without its DNA") {
    kept.clear_dnas();
    const Revival revival = Revive(kept, now);
    CHECK(revival.pools.empty());
    CHECK(revival.left_out ==
          std::vector<std::string>{"pools/web: its DNA, dnas/web, was not kept"});
  }
  SECTION("a pool that makes no sense") {
    kept.mutable_pools(0)->set_instance_capacity(-1);
    const Revival revival = Revive(kept, now);
    CHECK(revival.pools.empty());
    CHECK(revival.left_out.size() == 1);
  }
  SECTION("an instance of what is not taken back is refused") {
    REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == 1; },
                                kLimit));
    kept.clear_pools();
    const Adoption adoption = AdoptWithoutStore(simulation, kept);
    REQUIRE(adoption.refused.size() == 1);
    CHECK(adoption.refused[0].why == "its pool, pools/web, is not in the store");
  }
}

}  // namespace
}  // namespace shadow
