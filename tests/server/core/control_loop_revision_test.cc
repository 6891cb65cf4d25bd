// A new DNA revision under a shadow of the old one: who serves, and when the old one goes.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using I = v1::Instance;
using S = v1::ShadowPool;

constexpr absl::Duration kReplacedLimit = absl::Minutes(5);
constexpr int kServing = 3;  // Of a demand of 100: 100 x 1.1 / 50, rounded up.

std::string PoolRevision(const Simulation& simulation) {
  return simulation.world().pools.at("web").record.pool().dna_revision();
}

// Those of the given revision, or of all others.
const S* ShadowOf(const Simulation& simulation, const std::string& revision, bool others = false) {
  for (const auto& [id, shadow] : simulation.world().pools.at("web").shadows) {
    const S& proto = shadow.record.shadow();
    if ((proto.dna_revision() == revision) != others) return &proto;
  }
  return nullptr;
}

// A pool without a base in AUTOMATIC, at a demand of 100 that its shadow serves.
void Prepare(Simulation& simulation, const v1::CreatePoolRequest& pool) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(pool).ok());
  REQUIRE(RunUnder(simulation, 100, kReplacedLimit,
                   [&] { return CountMembers(simulation, I::ACTIVE) == kServing; }));
}

void PrepareAutomatic(Simulation& simulation) {
  Prepare(simulation, CreatePool(0, v1::Policy::AUTOMATIC));
}

// Whether the present revision's shadow alone is left, and serves.
bool Replaced(const Simulation& simulation) {
  return ShadowIs(simulation, S::ACTIVE) &&
         OnlyShadow(simulation)->dna_revision() == PoolRevision(simulation) &&
         OnlyShadow(simulation)->serving_instances() == kServing;
}

// The fewest that served at any input so far.
struct Fewest {
  explicit Fewest(Simulation& of) : simulation(of) {}
  void Look() { serving = std::min(serving, CountMembers(simulation, I::ACTIVE)); }
  Simulation& simulation;
  int serving = kServing;
};

void CheckOnlyNewLives(const Simulation& simulation) {
  CHECK(simulation.provider.Lives().size() == kServing);
  for (const auto& [id, life] : simulation.provider.Lives()) {
    CHECK(simulation.provider.RevisionOf(id) == PoolRevision(simulation));
  }
  CHECK(simulation.store().Contents().shadows_size() == 1);
}

}  // namespace

TEST_CASE("a shadow of an old revision serves until the new one stands, then it is drained") {
  Simulation simulation;
  PrepareAutomatic(simulation);
  const std::string old_revision = PoolRevision(simulation);
  REQUIRE(simulation.Call(UpdateDna()).ok());
  REQUIRE(PoolRevision(simulation) != old_revision);
  Fewest fewest(simulation);
  std::vector<S::State> states;  // Of the old one, since the new one stands.
  const bool replaced = RunUnder(simulation, 100, kReplacedLimit, [&] {
    fewest.Look();
    CHECK(simulation.MisledTraffic().empty());
    const S* old_one = ShadowOf(simulation, old_revision);
    const S* new_one = ShadowOf(simulation, PoolRevision(simulation));
    if (old_one != nullptr && (states.empty() || states.back() != old_one->state())) {
      states.push_back(old_one->state());
      if (old_one->state() == S::DELETING) {
        CHECK(new_one != nullptr);
        CHECK(new_one->serving_instances() == kServing);
      }
    }
    return Replaced(simulation);
  });
  REQUIRE(replaced);
  CHECK(fewest.serving == kServing);
  CHECK(states == std::vector<S::State>{S::ACTIVE, S::DELETING});
  CheckOnlyNewLives(simulation);
  CHECK(BalancerAddresses(simulation) == ActiveAddresses(simulation));
}

TEST_CASE("a suspended shadow of an old revision is replaced by one of the same size") {
  Simulation simulation;
  v1::CreatePoolRequest pool = CreatePool(0, v1::Policy::AUTOMATIC);
  pool.mutable_pool()->mutable_policy()->set_min_shadow_instances(2);
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(pool).ok());
  const auto rests = [&] {
    return ShadowIs(simulation, S::SUSPENDED) &&
           OnlyShadow(simulation)->dna_revision() == PoolRevision(simulation);
  };
  REQUIRE(RunUnder(simulation, 0, kReplacedLimit, rests));
  REQUIRE(simulation.Call(UpdateDna()).ok());
  int fewest = 2;
  REQUIRE(RunUnder(simulation, 0, kReplacedLimit, [&] {
    fewest = std::min(fewest, CountMembers(simulation, I::SUSPENDED));
    return rests();
  }));
  CHECK(fewest == 2);
  CHECK(OnlyShadow(simulation)->suspended_instances() == 2);
}

TEST_CASE("while no instance of the new revision passes, the old shadow serves on") {
  Simulation simulation;
  PrepareAutomatic(simulation);
  const std::string old_revision = PoolRevision(simulation);
  simulation.provider.Set([&](FakeProvider::Knobs& knobs) {
    knobs.differences = [&](const InstanceSpec& instance, Provider::Part) {
      if (instance.dna->revision_name == old_revision) return Provider::Differences{};
      return Provider::Differences{"dna.security.user: wanted web, found uid 7"};
    };
  });
  REQUIRE(simulation.Call(UpdateDna()).ok());
  Fewest fewest(simulation);
  CHECK_FALSE(RunUnder(simulation, 100, absl::Minutes(10), [&] {
    fewest.Look();
    return fewest.serving < kServing;
  }));
  REQUIRE(ShadowOf(simulation, old_revision) != nullptr);
  CHECK(ShadowOf(simulation, old_revision)->state() == S::ACTIVE);
  CHECK(ShadowOf(simulation, PoolRevision(simulation))->serving_instances() == 0);

  simulation.provider.Set([](FakeProvider::Knobs& knobs) { knobs.differences = nullptr; });
  CHECK(RunUnder(simulation, 100, absl::Minutes(10), [&] {
    fewest.Look();
    return Replaced(simulation);
  }));
  CHECK(fewest.serving == kServing);
}

TEST_CASE(
    "while no instance of the new revision passes, the old shadow's suspended ones are woken") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  v1::CreatePoolRequest pool = CreatePool(0, v1::Policy::AUTOMATIC);
  pool.mutable_pool()->mutable_policy()->set_min_shadow_instances(kServing);
  REQUIRE(simulation.Call(pool).ok());
  const auto serving = [&](int count) {
    return [&simulation, count] { return CountMembers(simulation, I::ACTIVE) == count; };
  };
  REQUIRE(RunUnder(simulation, 30, kReplacedLimit, [&] {
    return serving(1)() && CountMembers(simulation, I::SUSPENDED) == kServing - 1;
  }));
  const std::string old_revision = PoolRevision(simulation);
  simulation.provider.Set([&](FakeProvider::Knobs& knobs) {
    knobs.differences = [&](const InstanceSpec& instance, Provider::Part) {
      if (instance.dna->revision_name == old_revision) return Provider::Differences{};
      return Provider::Differences{"dna.security.user: wanted web, found uid 7"};
    };
  });
  REQUIRE(simulation.Call(UpdateDna()).ok());
  CHECK_FALSE(RunUnder(simulation, 30, absl::Minutes(1), serving(2)));
  CHECK(RunUnder(simulation, 100, absl::Seconds(30), serving(kServing)));
  simulation.provider.Set([](FakeProvider::Knobs& knobs) { knobs.differences = nullptr; });
  CHECK(RunUnder(simulation, 100, absl::Minutes(10), [&] { return Replaced(simulation); }));
}

TEST_CASE("idle instances of an old revision go before those that serve, one for each new one") {
  constexpr int kInstances = 5;
  Simulation simulation({.latency = absl::Seconds(2)});
  REQUIRE(simulation.Call(CreateDna()).ok());
  v1::CreatePoolRequest pool = CreatePool(0, v1::Policy::AUTOMATIC);
  pool.mutable_pool()->mutable_policy()->set_min_shadow_instances(kInstances);
  pool.mutable_pool()->mutable_policy()->set_max_concurrent_creations(1);
  REQUIRE(simulation.Call(pool).ok());
  const auto stands = [&] {
    return CountMembers(simulation, I::ACTIVE) == 1 &&
           CountMembers(simulation, I::SUSPENDED) == kInstances - 1;
  };
  REQUIRE(RunUnder(simulation, 30, kReplacedLimit, stands));
  const std::string old_revision = PoolRevision(simulation);
  REQUIRE(simulation.Call(UpdateDna()).ok());
  bool idle_first = true;
  int fewest = kInstances;  // Ready ones, of both revisions.
  int most = 0;             // Of both, ready or on their way.
  REQUIRE(RunUnder(simulation, 30, kReplacedLimit, [&] {
    std::map<I::State, int> old_ones;
    int live = 0;
    for (const auto& [id, member] : simulation.world().pools.at("web").members) {
      const I& instance = member.record.instance();
      live += instance.state() != I::FAILED && instance.state() != I::DELETING;
      if (instance.dna_revision() == old_revision) ++old_ones[instance.state()];
    }
    idle_first &= old_ones[I::ACTIVE] > 0 || old_ones[I::SUSPENDED] == 0;
    fewest = std::min(fewest,
                      CountMembers(simulation, I::ACTIVE) + CountMembers(simulation, I::SUSPENDED));
    most = std::max(most, live);
    return ShadowOf(simulation, old_revision) == nullptr && stands();
  }));
  CHECK(idle_first);
  CHECK(fewest == kInstances);
  CHECK(most < 2 * kInstances);
}

TEST_CASE("a revision that is replaced before it stands never takes the oldest one away") {
  Simulation simulation;
  PrepareAutomatic(simulation);
  REQUIRE(simulation.Call(UpdateDna("second")).ok());
  REQUIRE(RunUnder(simulation, 100, kReplacedLimit,
                   [&] { return simulation.world().pools.at("web").shadows.size() == 2; }));
  REQUIRE(simulation.Call(UpdateDna("third")).ok());
  Fewest fewest(simulation);
  REQUIRE(RunUnder(simulation, 100, kReplacedLimit, [&] {
    fewest.Look();
    return Replaced(simulation);
  }));
  CHECK(fewest.serving == kServing);
  CheckOnlyNewLives(simulation);
}

TEST_CASE("going back to the old revision keeps its shadow and drops the new one's") {
  Simulation simulation;
  PrepareAutomatic(simulation);
  const std::set<std::string> members = LiveMembers(simulation);
  REQUIRE(simulation.Call(UpdateDna()).ok());
  REQUIRE(RunUnder(simulation, 100, kReplacedLimit,
                   [&] { return simulation.world().pools.at("web").shadows.size() == 2; }));
  v1::UpdateDnaRequest back;
  *back.mutable_dna() = CreateDna().dna();
  REQUIRE(simulation.Call(back).ok());
  Fewest fewest(simulation);
  REQUIRE(RunUnder(simulation, 100, kReplacedLimit, [&] {
    fewest.Look();
    return Replaced(simulation);
  }));
  CHECK(fewest.serving == kServing);
  CHECK(LiveMembers(simulation) == members);
}

TEST_CASE("while usage is missing, a shadow of an old revision does not go before it is replaced") {
  Simulation simulation;
  PrepareAutomatic(simulation);
  simulation.Run(absl::Minutes(10));  // Stale after 3 steps of a minute.
  REQUIRE(CountMembers(simulation, I::ACTIVE) == kServing);
  REQUIRE(simulation.Call(UpdateDna()).ok());
  Fewest fewest(simulation);
  CHECK(simulation.RunUntil(
      [&] {
        fewest.Look();
        return Replaced(simulation);
      },
      kReplacedLimit));
  CHECK(fewest.serving == kServing);
}

TEST_CASE("a new revision in a dip of the demand does not cut the stabilisation window short") {
  Simulation simulation;
  PrepareAutomatic(simulation);
  RunUnder(simulation, 10, absl::Seconds(30));
  REQUIRE(CountMembers(simulation, I::ACTIVE) == kServing);  // The window is 5 min.
  REQUIRE(simulation.Call(UpdateDna()).ok());
  Fewest fewest(simulation);
  CHECK_FALSE(RunUnder(simulation, 10, absl::Minutes(3), [&] {
    fewest.Look();
    return fewest.serving < kServing;
  }));
  CHECK(Replaced(simulation));
}

TEST_CASE("sizes planned more often than levels do not retire a shadow that is needed") {
  Simulation simulation;
  v1::CreatePoolRequest pool = CreatePool(0, v1::Policy::AUTOMATIC);
  *pool.mutable_pool()->mutable_step() = ToProto(absl::Seconds(10));
  *pool.mutable_pool()->add_season_lengths() = ToProto(absl::Hours(1));
  *pool.mutable_pool()->mutable_policy()->mutable_activation_interval() = ToProto(absl::Minutes(1));
  *pool.mutable_pool()->mutable_policy()->mutable_usage_max_age() = ToProto(absl::Minutes(5));
  Prepare(simulation, pool);
  // Just after a level was decided: the next is a minute and six sizes away.
  const absl::Duration level = simulation.world().pools.at("web").timers.next_activation;
  REQUIRE(RunUnder(simulation, 100, kReplacedLimit, [&] {
    return simulation.world().pools.at("web").timers.next_activation != level;
  }));
  REQUIRE(simulation.Call(UpdateDna()).ok());
  Fewest fewest(simulation);
  REQUIRE(RunUnder(simulation, 100, kReplacedLimit, [&] {
    fewest.Look();
    return Replaced(simulation);
  }));
  CHECK(fewest.serving == kServing);
}

TEST_CASE("an old shadow that a person holds stays as it is until the hold ends") {
  for (const int level : {0, 100}) {
    INFO("held at level " << level);
    Simulation simulation;
    PrepareAutomatic(simulation);
    const std::string old_revision = PoolRevision(simulation);
    v1::ActivateShadowPoolRequest hold = Activate(OnlyShadow(simulation)->name(), level);
    *hold.mutable_hold_duration() = ToProto(absl::Minutes(10));
    REQUIRE(simulation.Call(hold).ok());
    REQUIRE(simulation.Call(UpdateDna()).ok());
    const int held = kServing * level / 100;
    REQUIRE(RunUnder(simulation, 100, kReplacedLimit,
                     [&] { return CountMembers(simulation, I::ACTIVE) == held; }));
    CHECK_FALSE(RunUnder(simulation, 100, absl::Minutes(4),
                         [&] { return CountMembers(simulation, I::ACTIVE) != held; }));
    REQUIRE(OnlyShadow(simulation) != nullptr);
    CHECK(OnlyShadow(simulation)->dna_revision() == old_revision);
    CHECK(RunUnder(simulation, 100, absl::Minutes(10), [&] { return Replaced(simulation); }));
  }
}

TEST_CASE("in OBSERVE a new revision leaves an old shadow alone; a person replaces it") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  v1::CreateShadowPoolRequest create = CreateShadow(150);
  *create.mutable_hold_duration() = ToProto(absl::ZeroDuration());
  REQUIRE(simulation.Call(create).ok());
  v1::ActivateShadowPoolRequest activate = Activate(OnlyShadow(simulation)->name(), 100);
  *activate.mutable_hold_duration() = ToProto(absl::ZeroDuration());
  REQUIRE(simulation.Call(activate).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kReplacedLimit));
  const std::string old_name = OnlyShadow(simulation)->name();
  const std::set<std::string> members = LiveMembers(simulation);
  const int creates = simulation.provider.Calls(FakeProvider::Verb::kCreate);

  REQUIRE(simulation.Call(UpdateDna()).ok());
  for (const double demand : {100.0, 1000.0, 0.0}) {
    CHECK_FALSE(RunUnder(simulation, demand, absl::Minutes(10), [&] {
      return !ShadowIs(simulation, S::ACTIVE) || LiveMembers(simulation) != members;
    }));
  }
  CHECK(simulation.provider.Calls(FakeProvider::Verb::kCreate) == creates);

  REQUIRE(simulation.Call(create).ok());
  const S* new_one = ShadowOf(simulation, PoolRevision(simulation));
  REQUIRE(new_one != nullptr);
  REQUIRE(simulation.Call(Activate(new_one->name(), 100)).ok());
  REQUIRE(simulation.Call(DeleteShadow(old_name)).ok());
  CHECK(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kReplacedLimit));
  CHECK(OnlyShadow(simulation)->dna_revision() == PoolRevision(simulation));
}

TEST_CASE("a DNA is in use while a shadow of it may make instances") {
  Simulation simulation({.instances_max = 0});
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  REQUIRE(LiveMembers(simulation).empty());
  v1::CreateDnaRequest other = CreateDna();
  other.mutable_dna()->set_name("dnas/other");
  REQUIRE(simulation.Call(other).ok());
  v1::UpdatePoolRequest move;
  *move.mutable_pool() = CreatePool(0).pool();
  move.mutable_pool()->set_dna("dnas/other");
  REQUIRE(simulation.Call(move).ok());
  v1::DeleteDnaRequest remove;
  remove.set_name("dnas/web");
  CHECK(absl::IsFailedPrecondition(simulation.Call(remove).status()));
  REQUIRE(simulation.Call(DeleteShadow(OnlyShadow(simulation)->name())).ok());
  REQUIRE(simulation.RunUntil([&] { return simulation.world().pools.at("web").shadows.empty(); },
                              kReplacedLimit));
  CHECK(simulation.Call(remove).ok());
}

}  // namespace shadow
