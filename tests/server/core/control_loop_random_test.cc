// Random people, demands, faults and crashes on fixed seeds: what always holds, and where it ends.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "tests/server/core/shadow_life.h"

namespace shadow {
namespace {

using I = v1::Instance;
using S = v1::ShadowPool;

constexpr absl::Duration kCalmLimit = absl::Minutes(30);  // Beyond every back-off and hold.

#ifdef SHADOW_SANITIZED
constexpr unsigned kRandomSeeds = 2;
#else
constexpr unsigned kRandomSeeds = 4;
#endif

// One life of disorder. Requests are insisted on; a refused one is part of it.
class Disorder {
 public:
  explicit Disorder(unsigned seed) : random_(seed) {
    REQUIRE(Insist(simulation, CreateDna(), Id()).ok());
    REQUIRE(Insist(simulation, CreatePool(1, v1::Policy::AUTOMATIC), Id()).ok());
  }

  Simulation simulation;
  int held_targets_broken = 0;

  void Step() {
    switch (Pick(14)) {
      case 0:
      case 1:
      case 2:
        Insist(simulation, Report(simulation.now().wall, 50 * Pick(6)), Id()).IgnoreError();
        break;
      case 3:
        Insist(simulation, Held(CreateShadow(50 * (1 + Pick(4)))), Id()).IgnoreError();
        NoteTargets();
        break;
      case 4:
      case 5:
      case 6:
        ActOnAShadow();
        break;
      case 7:
        Insist(simulation, UpdateDna(std::to_string(Pick(3))), Id()).IgnoreError();
        break;
      case 8:
      case 9:
        simulation.KillAfter(simulation.inputs() + 1 + Pick(6),
                             static_cast<Simulation::UnderWay>(Pick(3)));
        break;
      default:
        Fault();
    }
    const absl::Duration span = absl::Milliseconds(1 << Pick(15));
    simulation.RunUntil([this] { return LookAtTargets(); }, span);
  }

  // The world is well again, and nobody but a person decides: two, one of which serves.
  void Calm() {
    simulation.prober.SetDefault({});
    simulation.Run(absl::Minutes(10));  // What is still to fail has failed.
    v1::UpdatePoolRequest observe;
    *observe.mutable_pool() = CreatePool(1).pool();
    REQUIRE(Insist(simulation, observe, Id()).ok());
    std::vector<std::string> names;
    for (const auto& [id, shadow] : simulation.world().pools.at("web").shadows) {
      names.push_back(shadow.record.shadow().name());
    }
    for (const std::string& name : names)
      REQUIRE(Insist(simulation, DeleteShadow(name), Id()).ok());
    REQUIRE(simulation.RunUntil(
        [this] { return simulation.world().pools.at("web").shadows.empty(); }, kCalmLimit));
    REQUIRE(Insist(simulation, CreateShadow(0), Id()).ok());
    v1::UpdateShadowPoolRequest size;
    size.mutable_shadow_pool()->set_name(OnlyShadow(simulation)->name());
    size.mutable_shadow_pool()->set_target_instances(2);
    REQUIRE(Insist(simulation, size, Id()).ok());
    REQUIRE(Insist(simulation, Activate(OnlyShadow(simulation)->name(), 50), Id()).ok());
  }

 private:
  struct Target {
    int instances = 0;
    int level = 0;
  };

  int Pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  std::string Id() { return "r" + std::to_string(++requests_); }

  template <typename R>
  R Held(R request) {
    *request.mutable_hold_duration() = ToProto(absl::Minutes(Pick(3)));
    return request;
  }

  void ActOnAShadow() {
    const auto& shadows = simulation.world().pools.at("web").shadows;
    if (shadows.empty()) return;
    const auto chosen = std::next(shadows.begin(), Pick(static_cast<int>(shadows.size())));
    const std::string name = chosen->second.record.shadow().name();
    v1::UpdateShadowPoolRequest size;
    v1::ReleaseHoldRequest release;
    const int what = Pick(6);
    if (what == 0) {
      Insist(simulation, Held(DeleteShadow(name)), Id()).IgnoreError();
    } else if (what == 1) {
      size.mutable_shadow_pool()->set_name(name);
      size.mutable_shadow_pool()->set_target_instances(1 + Pick(4));
      Insist(simulation, Held(size), Id()).IgnoreError();
    } else if (what == 2) {
      release.set_name(name);
      Insist(simulation, release, Id()).IgnoreError();
    } else {
      Insist(simulation, Held(Activate(name, Pick(101))), Id()).IgnoreError();
    }
    NoteTargets();
  }

  void Fault() {
    using V = FakeProvider::Verb;
    const auto lives = simulation.provider.Lives();
    switch (Pick(5)) {
      case 0:
        if (lives.empty()) return;
        simulation.provider.Exit(
            std::next(lives.begin(), Pick(static_cast<int>(lives.size())))->first, "by chance");
        break;
      case 1:
        simulation.provider.Fail(static_cast<V>(1 + Pick(8)), "",
                                 Pick(2) == 0 ? absl::UnavailableError("by chance")
                                              : absl::FailedPreconditionError("by chance"),
                                 1 + Pick(3));
        break;
      case 2:
        simulation.balancers[kPool].Restart();
        break;
      case 3:
        simulation.balancers[kPool].Fail(static_cast<FakeBalancer::Verb>(Pick(2)),
                                         absl::UnavailableError("by chance"), 1 + Pick(5));
        break;
      default: {
        FakeProber::Behaviour behaviour;
        if (Pick(2) == 0) behaviour.warm_up = absl::FailedPreconditionError("by chance");
        simulation.prober.SetDefault(behaviour);
      }
    }
  }

  void NoteTargets() {
    held_.clear();
    for (const auto& [id, shadow] : simulation.world().pools.at("web").shadows) {
      const S& proto = shadow.record.shadow();
      held_[id] = {proto.target_instances(), proto.target_activation_level()};
    }
  }

  // A held target is what it was when a person last acted. Never true: it only looks.
  bool LookAtTargets() {
    for (const auto& [id, shadow] : simulation.world().pools.at("web").shadows) {
      const S& proto = shadow.record.shadow();
      const auto noted = held_.find(id);
      if (noted == held_.end() || !proto.has_hold_until_time() ||
          FromProto(proto.hold_until_time()) <= simulation.now().wall) {
        continue;
      }
      held_targets_broken += proto.target_instances() != noted->second.instances ||
                             proto.target_activation_level() != noted->second.level ||
                             shadow.record.deleting();
    }
    return false;
  }

  std::mt19937 random_;
  std::map<std::string, Target> held_;  // By id, as a person's last act left all of them.
  int requests_ = 0;
};

// Every change of an instance's state in the events is a row of the table.
void CheckTransitions(const Simulation& simulation) {
  std::map<std::string, I::State> states;
  const auto table = LifecycleTable();
  for (const v1::Event& event : simulation.store().events()) {
    if (!event.has_instance()) continue;
    const I::State to = event.instance().state();
    const auto before = states.find(event.name());
    if (before == states.end()) {
      CHECK(to == I::CREATING);
    } else if (before->second != to) {
      INFO(event.name() << ": " << event.message());
      CHECK(std::any_of(table.begin(), table.end(), [&](const Transition& row) {
        return row.from == before->second && row.to == to;
      }));
    }
    states[event.name()] = to;
  }
}

}  // namespace

TEST_CASE("whatever happened, a calm world converges to a person's target and leaks nothing") {
  for (unsigned seed = 1; seed <= kRandomSeeds; ++seed) {
    INFO("seed " << seed);
    Disorder disorder(seed);
    Simulation& simulation = disorder.simulation;
    for (int step = 0; step < 60; ++step) disorder.Step();
    CHECK(disorder.held_targets_broken == 0);
    disorder.Calm();
    const bool converged = simulation.RunUntil(
        [&] {
          return ShadowIs(simulation, S::ACTIVE) &&
                 OnlyShadow(simulation)->suspended_instances() == 1 &&
                 OnlyShadow(simulation)->serving_instances() == 1 &&
                 CountMembers(simulation, I::ACTIVE, I::BASE) == 1 &&
                 ProviderIds(simulation) == LiveMembers(simulation) &&
                 BalancerAddresses(simulation) == ActiveAddresses(simulation);
        },
        kCalmLimit);
    CHECK(converged);
    CHECK(simulation.provider.Lives().size() == 3);
    CheckNothingStray(simulation);
    CheckTransitions(simulation);
  }
}

TEST_CASE("however long usage is missing, and whatever crashes, nothing is scaled in") {
  for (unsigned seed = 1; seed <= kRandomSeeds; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const auto pick = [&random](int below) {
      return static_cast<int>(random() % static_cast<unsigned>(below));
    };
    Simulation simulation;
    REQUIRE(simulation.Call(CreateDna()).ok());
    REQUIRE(simulation.Call(CreatePool(0, v1::Policy::AUTOMATIC)).ok());
    RunUnder(simulation, 50 + pick(200), absl::Minutes(2));
    RunUnder(simulation, pick(50), absl::Seconds(30));
    const auto serving = [&] { return CountMembers(simulation, I::ACTIVE); };
    REQUIRE(OnlyShadow(simulation) != nullptr);
    simulation.Run(absl::Minutes(4));  // Stale after 3 steps of a minute.
    const int targeted = OnlyShadow(simulation)->target_instances();
    const int served = serving();
    REQUIRE(served >= 1);
    for (int kill = 0; kill < 3; ++kill) {
      simulation.KillAfter(simulation.inputs() + 1 + pick(300), Simulation::UnderWay::kDone);
      CHECK_FALSE(simulation.RunUntil(
          [&] {
            return OnlyShadow(simulation) == nullptr || serving() < served ||
                   OnlyShadow(simulation)->target_instances() < targeted;
          },
          absl::Minutes(10)));
    }
  }
}

TEST_CASE("effects that are carried out twice leave the same world and the same events") {
  Simulation once;
  Live(once);
  Simulation twice({.effects_twice = true});
  Live(twice);
  CHECK(twice.store().Contents().DebugString() == once.store().Contents().DebugString());
  REQUIRE(twice.store().events().size() == once.store().events().size());
  for (size_t i = 0; i < once.store().events().size(); ++i) {
    CHECK(twice.store().events()[i].SerializeAsString() ==
          once.store().events()[i].SerializeAsString());
  }
  CheckNothingStray(twice);
}

}  // namespace shadow
