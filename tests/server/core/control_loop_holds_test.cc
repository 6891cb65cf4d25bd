// Holds: what a person has set stands until it expires or is released.
#include <algorithm>
#include <catch2/catch.hpp>

#include "server/core/planner.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;

constexpr absl::Duration kHold = absl::Minutes(20);  // Longer than the stabilisation window of 5.

template <typename R>
R HeldFor(R request, absl::Duration hold) {
  *request.mutable_hold_duration() = ToProto(hold);
  return request;
}

v1::UpdateShadowPoolRequest Resize(const std::string& name, int instances) {
  v1::UpdateShadowPoolRequest request;
  request.mutable_shadow_pool()->set_name(name);
  request.mutable_shadow_pool()->set_target_instances(instances);
  return request;
}

v1::ReleaseHoldRequest Release(const std::string& name) {
  v1::ReleaseHoldRequest request;
  request.set_name(name);
  return request;
}

// Whether the one shadow is to be like that.
bool Targets(const Simulation& simulation, int instances, int level) {
  const S* shadow = OnlyShadow(simulation);
  return shadow != nullptr && shadow->target_instances() == instances &&
         shadow->target_activation_level() == level;
}

bool NoShadow(const Simulation& simulation) {
  return simulation.world().pools.at("web").shadows.empty();
}

// A pool in AUTOMATIC without a base; after a minute of `demand` the planner's shadow is there: 3
// instances at 100 (100 x 1.1 / 50).
void Prepare(Simulation& simulation, double demand) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0, v1::Policy::AUTOMATIC)).ok());
  RunUnder(simulation, demand, absl::Minutes(1));
}

bool Said(const Simulation& simulation, std::string_view message) {
  const auto& events = simulation.store().events();
  return std::any_of(events.begin(), events.end(),
                     [&](const v1::Event& event) { return event.message() == message; });
}

// A target by hand, and a demand that wants another: 3 of 3 of a demand of 100, nothing of 0.
struct HeldCase {
  std::string what;
  double demand;
  int instances;
  int level;
};

const std::vector<HeldCase> kHeldCases = {
    {"a ceiling: none of three may serve", 100, 3, 0},
    {"a ceiling: one of three may serve", 100, 3, 33},
    {"a ceiling: there may be only one", 100, 1, 100},
    {"a floor: all serve for nobody", 0, 3, 100},
    {"a floor: one serves, and one waits, for nobody", 0, 2, 50},
};

void HoldByHand(Simulation& simulation, const HeldCase& held) {
  Prepare(simulation, 100);
  REQUIRE(Targets(simulation, 3, 100));
  const std::string name = OnlyShadow(simulation)->name();
  REQUIRE(simulation.Call(HeldFor(Resize(name, held.instances), kHold)).ok());
  REQUIRE(simulation.Call(HeldFor(Activate(name, held.level), kHold)).ok());
}

// What the planner makes of the demand.
bool Planned(const Simulation& simulation, double demand) {
  return demand > 0 ? Targets(simulation, 3, 100)
                    : OnlyShadow(simulation)->target_activation_level() == 0;
}

}  // namespace

TEST_CASE("a person's size and level are floor and ceiling until the hold expires") {
  for (const HeldCase& held : kHeldCases) {
    INFO(held.what);
    Simulation simulation;
    HoldByHand(simulation, held);
    const auto moved = [&] { return !Targets(simulation, held.instances, held.level); };
    CHECK_FALSE(RunUnder(simulation, held.demand, kHold - absl::Minutes(1), moved));
    CHECK(OnlyShadow(simulation)->serving_instances() == ActiveCount(held.instances, held.level));
    CHECK(OnlyShadow(simulation)->has_hold_until_time());
    CHECK_FALSE(Said(simulation, "hold expired"));
    CHECK(RunUnder(simulation, held.demand, kLimit,
                   [&] { return Planned(simulation, held.demand); }));
    CHECK_FALSE(OnlyShadow(simulation)->has_hold_until_time());
    CHECK(Said(simulation, "hold expired"));
  }
}

TEST_CASE("what is released is the planner's within an activation interval") {
  for (const HeldCase& held : kHeldCases) {
    INFO(held.what);
    Simulation simulation;
    HoldByHand(simulation, held);
    RunUnder(simulation, held.demand, absl::Minutes(6));
    REQUIRE(Targets(simulation, held.instances, held.level));
    REQUIRE(simulation.Call(Release(OnlyShadow(simulation)->name())).ok());
    CHECK_FALSE(OnlyShadow(simulation)->has_hold_until_time());
    CHECK(simulation.RunUntil([&] { return Planned(simulation, held.demand); },
                              absl::Milliseconds(2100)));
  }
}

TEST_CASE("a hold stands through restarts of the daemon") {
  Simulation simulation;
  HoldByHand(simulation, kHeldCases[0]);
  for (int restart = 0; restart < 3; ++restart) {
    simulation.KillAfter(simulation.inputs() + 3, Simulation::UnderWay::kNotDone);
    CHECK_FALSE(
        RunUnder(simulation, 100, absl::Minutes(6), [&] { return !Targets(simulation, 3, 0); }));
  }
  REQUIRE(simulation.starts() == 4);
  CHECK(RunUnder(simulation, 100, absl::Minutes(4), [&] { return Targets(simulation, 3, 100); }));
}

TEST_CASE("without a duration a hold lasts an hour") {
  Simulation simulation;
  Prepare(simulation, 100);
  REQUIRE(simulation.Call(Activate(OnlyShadow(simulation)->name(), 0)).ok());
  CHECK(FromProto(OnlyShadow(simulation)->hold_until_time()) ==
        simulation.now().wall + absl::Hours(1));
}

TEST_CASE("the beginning of a hold is told with its end, and so is its end by another target") {
  Simulation simulation;  // Its clock stands at 2023-11-15 00:00 UTC.
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  REQUIRE(simulation.Call(HeldFor(CreateShadow(50), kHold)).ok());
  const std::string name = OnlyShadow(simulation)->name();
  REQUIRE(simulation.Call(HeldFor(Resize(name, 3), absl::Hours(2))).ok());
  REQUIRE(simulation.Call(HeldFor(Activate(name, 100), absl::ZeroDuration())).ok());
  REQUIRE(simulation.Call(HeldFor(Activate(name, 50), absl::ZeroDuration())).ok());
  REQUIRE(simulation.Call(HeldFor(DeleteShadow(name), kHold)).ok());
  for (const char* message :
       {"created by hand for an increase of 50: 1 instances; held until 2023-11-15T00:20:00+00:00",
        "resized by hand to 3 instances; held until 2023-11-15T02:00:00+00:00",
        "activation level set by hand to 100; no longer held", "activation level set by hand to 50",
        "a deleted shadow pool is not created again until 2023-11-15T00:20:00+00:00"}) {
    INFO(message);
    CHECK(Said(simulation, message));
  }
}

TEST_CASE("a target held for no time is the planner's at once, and ends an earlier hold") {
  Simulation simulation;
  Prepare(simulation, 100);
  const std::string name = OnlyShadow(simulation)->name();
  REQUIRE(simulation.Call(HeldFor(Activate(name, 0), kHold)).ok());
  REQUIRE(simulation.Call(HeldFor(Activate(name, 34), absl::ZeroDuration())).ok());
  CHECK_FALSE(OnlyShadow(simulation)->has_hold_until_time());
  CHECK(simulation.RunUntil([&] { return Targets(simulation, 3, 100); }, absl::Milliseconds(2100)));
}

TEST_CASE("a shadow created by hand without a hold is the planner's at once") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0, v1::Policy::AUTOMATIC)).ok());
  REQUIRE(simulation.Call(HeldFor(CreateShadow(50), absl::ZeroDuration())).ok());
  REQUIRE(Targets(simulation, 1, 0));
  CHECK(RunUnder(simulation, 100, absl::Seconds(30), [&] { return Targets(simulation, 3, 100); }));
}

TEST_CASE("a shadow created by hand is held as it was made") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0, v1::Policy::AUTOMATIC)).ok());
  REQUIRE(simulation.Call(HeldFor(CreateShadow(50), kHold)).ok());
  CHECK_FALSE(RunUnder(simulation, 100, kHold - absl::Minutes(1),
                       [&] { return !Targets(simulation, 1, 0); }));
  CHECK(RunUnder(simulation, 100, kLimit, [&] { return Targets(simulation, 3, 100); }));
}

TEST_CASE("after a held delete no shadow is created before the hold ends") {
  Simulation simulation;
  Prepare(simulation, 100);
  REQUIRE(simulation.Call(HeldFor(DeleteShadow(OnlyShadow(simulation)->name()), kHold)).ok());
  REQUIRE(RunUnder(simulation, 100, kLimit, [&] { return NoShadow(simulation); }));
  simulation.KillAfter(simulation.inputs() + 3, Simulation::UnderWay::kNotDone);
  CHECK_FALSE(
      RunUnder(simulation, 100, kHold - absl::Minutes(2), [&] { return !NoShadow(simulation); }));
  REQUIRE(simulation.starts() == 2);
  CHECK(simulation.provider.Lives().empty());
  CHECK(RunUnder(simulation, 100, absl::Minutes(3), [&] { return Targets(simulation, 3, 100); }));
}

TEST_CASE("a held delete that is released, or a shadow by hand, ends the wait") {
  for (const bool by_hand : {false, true}) {
    Simulation simulation;
    Prepare(simulation, 100);
    REQUIRE(simulation.Call(HeldFor(DeleteShadow(OnlyShadow(simulation)->name()), kHold)).ok());
    REQUIRE(RunUnder(simulation, 100, kLimit, [&] { return NoShadow(simulation); }));
    if (by_hand) {
      REQUIRE(simulation.Call(HeldFor(CreateShadow(50), absl::ZeroDuration())).ok());
    } else {
      REQUIRE(simulation.Call(Release("pools/web")).ok());
    }
    CHECK_FALSE(simulation.world().pools.at("web").record.pool().has_hold_until_time());
    CHECK(
        simulation.RunUntil([&] { return Targets(simulation, 3, 100); }, absl::Milliseconds(2100)));
  }
}

TEST_CASE("after a delete without a hold the planner creates again what is needed") {
  Simulation simulation;
  Prepare(simulation, 100);
  const std::set<std::string> before = LiveMembers(simulation);
  REQUIRE(
      simulation.Call(HeldFor(DeleteShadow(OnlyShadow(simulation)->name()), absl::ZeroDuration()))
          .ok());
  CHECK(RunUnder(simulation, 100, kLimit, [&] {
    return Targets(simulation, 3, 100) && OnlyShadow(simulation)->serving_instances() == 3;
  }));
  for (const std::string& id : LiveMembers(simulation)) CHECK_FALSE(before.contains(id));
}

TEST_CASE("releasing what is not held changes nothing") {
  Simulation simulation;
  Prepare(simulation, 100);
  const std::string name = OnlyShadow(simulation)->name();
  const size_t events = simulation.store().events().size();
  CHECK(simulation.Call(Release(name)).ok());
  CHECK(simulation.Call(Release("pools/web")).ok());
  CHECK(simulation.store().events().size() == events);
}

}  // namespace shadow
