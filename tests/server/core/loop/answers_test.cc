// Answers to what is no longer asked, many deaths at once, and the count of what is promised.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using I = v1::Instance;

v1::CreatePoolRequest CreatePolledPool(const std::string& frontend) {
  v1::CreatePoolRequest request = CreatePool(0);
  v1::HaproxyUsage& usage = *request.mutable_pool()->add_usage_sources()->mutable_haproxy();
  usage.set_socket_path("/run/haproxy.sock");
  usage.set_frontend(frontend);
  return request;
}

v1::DeletePoolRequest DeletePool() {
  v1::DeletePoolRequest request;
  request.set_name(kPool);
  return request;
}

// A pool whose source has been asked and has not answered yet.
void Ask(Simulation& simulation) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePolledPool("old")).ok());
  simulation.usage.Push(kPool, simulation.now().wall, 1000);
  REQUIRE(simulation.RunUntil(
      [&] { return simulation.world().pools.at("web").demand.usage_effect.has_value(); }, kLimit));
}

TEST_CASE("what a pool's source said counts for no later pool of its name") {
  Simulation simulation({.latency = absl::Seconds(3)});
  Ask(simulation);
  REQUIRE(simulation.Call(DeletePool()).ok());
  REQUIRE(simulation.world().pools.empty());
  simulation.Run(absl::Seconds(2));
  REQUIRE(simulation.Call(CreatePolledPool("new")).ok());
  simulation.Run(absl::Seconds(2));  // The first answer is there, the second not yet.
  CHECK(simulation.store().samples().empty());
  simulation.Run(absl::Seconds(2));
  CHECK(simulation.store().samples().size() == 1);
}

TEST_CASE("what a source said counts no more once the pool has another one") {
  Simulation simulation({.latency = absl::Seconds(3)});
  Ask(simulation);
  simulation.Run(absl::Seconds(2));
  v1::UpdatePoolRequest update;
  *update.mutable_pool() = CreatePolledPool("new").pool();
  REQUIRE(simulation.Call(update).ok());
  simulation.Run(absl::Seconds(2));
  CHECK(simulation.store().samples().empty());
  simulation.Run(absl::Seconds(2));
  CHECK(simulation.store().samples().size() == 1);
}

TEST_CASE("a view of a balancer that the pool had before is not taken for one of the new one") {
  Simulation simulation({.latency = absl::Seconds(3)});
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  REQUIRE(simulation.RunUntil(
      [&] { return simulation.world().pools.at("web").balancing.view_effect.has_value(); },
      kLimit));
  simulation.Run(absl::Seconds(2));
  v1::UpdatePoolRequest update;
  *update.mutable_pool() = CreatePool(0).pool();
  update.mutable_pool()->mutable_balancer()->mutable_haproxy()->set_backend("other");
  REQUIRE(simulation.Call(update).ok());
  simulation.Run(absl::Seconds(2));
  CHECK_FALSE(simulation.world().pools.at("web").balancing.view.has_value());
  simulation.Run(absl::Seconds(2));
  CHECK(simulation.world().pools.at("web").balancing.view.has_value());
}

// From the moment at which `deaths` of ten base instances end until ten serve again.
absl::Duration Recovery(int deaths, bool restart) {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  v1::CreatePoolRequest create = CreatePool(10);
  create.mutable_pool()->mutable_policy()->set_max_concurrent_creations(10);
  REQUIRE(simulation.Call(create).ok());
  const auto all_serve = [&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == 10; };
  REQUIRE(simulation.RunUntil(all_serve, kLimit));
  simulation.Run(absl::Minutes(1));
  const std::set<std::string> ids = ProviderIds(simulation);
  const auto end = [&] {
    for (auto id = ids.begin(); id != std::next(ids.begin(), deaths); ++id) {
      simulation.provider.Exit(*id, "the host rebooted");
    }
  };
  if (restart) {
    simulation.while_down = end;
    simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kDone);
  } else {
    end();
  }
  const absl::Duration begin = simulation.now().mono;
  REQUIRE(simulation.RunUntil([&] { return !all_serve(); }, kLimit));
  CHECK(simulation.RunUntil(all_serve, absl::Minutes(10)));
  return simulation.now().mono - begin;
}

TEST_CASE("any number of deaths at one moment are replaced as fast as one") {
  const absl::Duration one = Recovery(1, false);
  for (const int deaths : {2, 5, 10}) {
    INFO(deaths << " deaths, one: " << one);
    CHECK(Recovery(deaths, false) <= one + absl::Seconds(1));
  }
}

TEST_CASE("what a reboot of the host took is replaced as fast as one instance") {
  CHECK(Recovery(10, true) <= Recovery(1, false) + absl::Seconds(1));
}

TEST_CASE("where the balancer cannot count, a drain takes its whole time") {
  Simulation simulation;
  simulation.balancers[kPool].StopCounting();
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  REQUIRE(simulation.Call(CreateShadow(100)).ok());
  REQUIRE(
      simulation.RunUntil([&] { return ShadowIs(simulation, v1::ShadowPool::SUSPENDED); }, kLimit));
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), 100)).ok());
  REQUIRE(
      simulation.RunUntil([&] { return ShadowIs(simulation, v1::ShadowPool::ACTIVE); }, kLimit));
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), 0)).ok());
  const absl::Duration drain = simulation.world().pools.at("web").spec->drain_timeout;
  simulation.Run(drain - absl::Seconds(1));
  CHECK(CountMembers(simulation, I::DRAINING) == 1);
  CHECK(simulation.RunUntil([&] { return ShadowIs(simulation, v1::ShadowPool::SUSPENDED); },
                            absl::Seconds(3)));
}

int Promised(const World& world) {
  int promised = 0;
  for (const auto& [id, pool] : world.pools) {
    promised += pool.spec->pool.managed_instances();
    for (const auto& [name, shadow] : pool.shadows) {
      if (!shadow.record.deleting()) promised += shadow.record.shadow().target_instances();
    }
  }
  return promised;
}

TEST_CASE("whoever deletes a shadow, what it was promised is free at once") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  REQUIRE(simulation.Call(CreateShadow(150)).ok());
  REQUIRE(
      simulation.RunUntil([&] { return ShadowIs(simulation, v1::ShadowPool::SUSPENDED); }, kLimit));
  REQUIRE(simulation.world().budget.promised == 3);
  const bool by_pool = GENERATE(false, true);
  if (by_pool) {
    REQUIRE(simulation.Call(DeletePool()).ok());
  } else {
    REQUIRE(simulation.Call(DeleteShadow(OnlyShadow(simulation)->name())).ok());
  }
  CHECK(simulation.world().budget.promised == Promised(simulation.world()));
}

}  // namespace
}  // namespace shadow
