#include "server/core/loop/results.h"

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/core/names.h"
#include "server/core/time_proto.h"
#include "tests/fakes/test_dna.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

constexpr char kKey[] = "test";
constexpr char kId[] = "i7";

// One pool with one SUSPENDED instance, at a provider of these traits.
World WorldWith(const ProviderTraits& traits) {
  World world;
  auto provider = std::make_shared<CompiledProvider>(*DefaultProvider());
  provider->key = kKey;
  provider->traits = traits;
  auto spec = std::make_shared<CompiledPool>(CompilePool(CreatePool(0).pool()).value());
  spec->provider = provider;
  world.providers[kKey].provider = provider;
  PoolEntry& pool = world.pools["web"];
  pool.id = "web";
  pool.record.mutable_pool()->set_name(PoolName("web"));
  pool.spec = spec;
  Member member;
  member.id = kId;
  member.dna = std::make_shared<const CompiledDna>(TestDna());
  v1::Instance& instance = *member.record.mutable_instance();
  instance.set_name("pools/web/instances/i7");
  instance.set_role(v1::Instance::BASE);
  instance.set_state(v1::Instance::SUSPENDED);
  member.record.set_want(v1::InstanceRecord::WANT_SUSPENDED);
  pool.members.emplace(kId, std::move(member));
  world.revision = 7;
  return world;
}

v1::Instance::State AfterSeen(const ProviderTraits& traits, Life life) {
  World world = WorldWith(traits);
  const Instant now{.wall = absl::FromUnixSeconds(1'700'000'000), .mono = absl::Hours(1)};
  Changes changes(world, now);
  EffectResult list;
  list.instances.push_back(
      {.id = kId, .epoch = "", .life = life, .address = "", .handle = "", .exit_reason = ""});
  OnInstanceList(changes, kKey, now.mono, list);
  return world.pools.at("web").members.at(kId).record.instance().state();
}

TEST_CASE("a suspended instance that runs is suspended again, where its provider can do that") {
  const ProviderTraits suspends{.suspends = true,
                                .poll_interval = absl::Seconds(1),
                                .list_interval = absl::Seconds(1),
                                .call_time = absl::Seconds(1)};
  CHECK(AfterSeen(suspends, Life::kRunning) == v1::Instance::SUSPENDING);
  CHECK(AfterSeen(suspends, Life::kSuspended) == v1::Instance::SUSPENDED);
  ProviderTraits runs_on = suspends;
  runs_on.suspends = false;
  CHECK(AfterSeen(runs_on, Life::kRunning) == v1::Instance::SUSPENDED);
  CHECK(AfterSeen(runs_on, Life::kExited) == v1::Instance::FAILED);
}

// Of one that serves, which the balancer has not taken at full weight yet since `task_since`.
v1::Instance::State AfterGone(absl::Duration task_since, std::optional<uint64_t> told) {
  World world = WorldWith(DefaultProvider()->traits);
  const Instant now{.wall = absl::FromUnixSeconds(1'700'000'000), .mono = absl::Hours(1)};
  Member& member = world.pools.at("web").members.at(kId);
  member.record.mutable_instance()->set_state(v1::Instance::ACTIVE);
  member.record.set_want(v1::InstanceRecord::WANT_ACTIVE);
  member.task = InstanceTask::kFullWeight;
  member.task_since = task_since;
  member.effect = told;
  Changes changes(world, now);
  OnInstanceList(changes, kKey, now.mono, {});
  return member.record.instance().state();
}

TEST_CASE("an instance that is gone fails although its balancer has not taken it") {
  const absl::Duration asked = absl::Hours(1);
  CHECK(AfterGone(asked - absl::Seconds(5), std::nullopt) == v1::Instance::FAILED);
  CHECK(AfterGone(asked - absl::Seconds(5), 3) == v1::Instance::FAILED);
  CHECK(AfterGone(asked + absl::Milliseconds(1), std::nullopt) == v1::Instance::ACTIVE);
}

EffectResult ListOf(const std::vector<std::string>& ids) {
  EffectResult list;
  for (const std::string& id : ids) {
    list.instances.push_back({.id = id,
                              .epoch = "",
                              .life = Life::kRunning,
                              .address = "",
                              .handle = "",
                              .exit_reason = ""});
  }
  return list;
}

// Whether the provider is still known once this list has come.
bool KnownAfter(World& world, const EffectResult& list, const std::string& provider = kKey) {
  const Instant now{.wall = absl::FromUnixSeconds(1'700'000'000), .mono = absl::Hours(1)};
  Changes changes(world, now);
  OnInstanceList(changes, provider, now.mono, list);
  return world.providers.contains(provider);
}

TEST_CASE("a provider that no pool uses any more is forgotten, but for the default one") {
  World world = WorldWith(DefaultProvider()->traits);
  CHECK(KnownAfter(world, ListOf({kId})));
  world.pools.clear();
  world.daemon_changed = false;
  CHECK(KnownAfter(world, ListOf({kId})));  // An instance without a record: it is still to end.
  world.providers.at(kKey).ending.insert(kId);
  CHECK(KnownAfter(world, ListOf({})));
  world.providers.at(kKey).ending.clear();
  world.providers.at(kKey).effect = 1;
  CHECK(KnownAfter(world, ListOf({})));
  world.providers.at(kKey).effect.reset();
  CHECK_FALSE(KnownAfter(world, ListOf({})));
  CHECK(world.daemon_changed);

  const std::string by_default = DefaultProvider()->key;
  world.providers[by_default].provider = DefaultProvider();
  CHECK(KnownAfter(world, ListOf({}), by_default));
}

TEST_CASE("a provider that no pool uses any more is forgotten also where it does not answer") {
  World world = WorldWith(DefaultProvider()->traits);
  EffectResult failed;
  failed.status = absl::UnavailableError("no route");
  CHECK(KnownAfter(world, failed));
  world.pools.clear();
  CHECK_FALSE(KnownAfter(world, failed));
}

TEST_CASE("an instance that cannot be probed waits past its start timeout, and says why") {
  using I = v1::Instance;
  for (const bool warm_up : {false, true}) {
    Simulation simulation;
    FakeProber::Behaviour without;
    (warm_up ? without.warm_up : without.check) = absl::ResourceExhaustedError("no socket");
    simulation.prober.SetDefault(without);
    REQUIRE(simulation.Call(CreateDna()).ok());
    REQUIRE(simulation.Call(CreatePool(1)).ok());
    simulation.Run(absl::Minutes(5));
    const PoolEntry& pool = simulation.world().pools.at("web");
    REQUIRE(pool.members.size() == 1);
    const I& instance = pool.members.begin()->second.record.instance();
    CHECK(instance.state() == (warm_up ? I::WARMING : I::CREATING));
    CHECK(instance.reason() == (warm_up ? "warm up: no socket" : "await ready: no socket"));
    const std::string name = instance.name();

    simulation.prober.SetDefault({});
    CHECK(simulation.RunUntil([&] { return CountMembers(simulation, I::ACTIVE, I::BASE) == 1; },
                              kLimit));
    CHECK(pool.members.begin()->second.record.instance().name() == name);
  }
}

}  // namespace
}  // namespace shadow
