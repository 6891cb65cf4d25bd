#include "server/core/loop/clock/clock_jumps.h"

#include <catch2/catch.hpp>
#include <string>

#include "server/core/loop/demand.h"
#include "server/core/time_proto.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

constexpr absl::Duration kFar = absl::Hours(24 * 40);

v1::CreatePoolRequest ReactivePool() {
  v1::CreatePoolRequest request = CreatePool(0, v1::Policy::AUTOMATIC);
  request.mutable_pool()->clear_managed_instances();
  request.mutable_pool()->set_external_capacity(20);
  *request.mutable_pool()->mutable_step() = ToProto(absl::Minutes(1));
  request.mutable_pool()->mutable_policy()->set_sizing(v1::Policy::REACTIVE);
  *request.mutable_pool()->mutable_policy()->mutable_activation_interval() =
      ToProto(absl::Seconds(2));
  return request;
}

void AddUsagePool(Simulation& simulation, bool polled) {
  v1::CreatePoolRequest create = ReactivePool();
  if (polled) {
    v1::HaproxyUsage& usage = *create.mutable_pool()->add_usage_sources()->mutable_haproxy();
    usage.set_socket_path("/run/haproxy.sock");
    usage.set_frontend("public");
  }
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(create).ok());
}

const PoolEntry& PoolOf(const Simulation& simulation) { return simulation.world().pools.at("web"); }

void Jump(Simulation& simulation, absl::Duration by) {
  simulation.SetWall(simulation.now().wall + by);
}

int EventsOf(const Simulation& simulation, const std::string& text) {
  int count = 0;
  for (const v1::Event& event : simulation.store().events()) {
    count += event.message().find(text) != std::string::npos;
  }
  return count;
}

// As a source that is read every 2 s.
void PollFor(Simulation& simulation, double demand, absl::Duration span) {
  for (absl::Duration passed; passed < span; passed += absl::Seconds(2)) {
    simulation.usage.Push(kPool, simulation.now().wall, demand);
    simulation.Run(absl::Seconds(2));
  }
}

TEST_CASE("demand that is read is followed at once when the clock was set back") {
  Simulation simulation;
  AddUsagePool(simulation, true);
  PollFor(simulation, 10, absl::Minutes(10));
  REQUIRE(CountMembers(simulation, v1::Instance::ACTIVE) == 0);
  Jump(simulation, -absl::Hours(1));
  simulation.Run(absl::Seconds(2));
  PollFor(simulation, 90, absl::Minutes(3));
  CHECK(PoolOf(simulation).demand.value == 90);
  CHECK(CountMembers(simulation, v1::Instance::ACTIVE) == 2);
  CHECK(EventsOf(simulation, "the wall clock was set back by 1h") == 1);
  PollFor(simulation, 10, absl::Minutes(20));  // What was wanted in the future holds nothing.
  CHECK(CountMembers(simulation, v1::Instance::ACTIVE) == 0);
}

TEST_CASE("demand that is pushed is taken at once when the clock was set back") {
  Simulation simulation;
  AddUsagePool(simulation, false);
  REQUIRE_FALSE(RunUnder(simulation, 10, absl::Minutes(10)));
  Jump(simulation, -absl::Hours(1));
  REQUIRE(simulation.Call(Report(simulation.now().wall, 90)).ok());
  CHECK(PoolOf(simulation).demand.value == 90);
  CHECK(EventsOf(simulation, "set back by") == 1);
  // Of one time each, still in order.
  CHECK_FALSE(simulation.Call(Report(simulation.now().wall - absl::Seconds(1), 90)).ok());
  REQUIRE_FALSE(RunUnder(simulation, 90, absl::Minutes(3)));
  CHECK(CountMembers(simulation, v1::Instance::ACTIVE) == 2);
}

TEST_CASE("what was wanted at a glance at a far future holds nothing after a restart") {
  Simulation simulation;
  v1::CreatePoolRequest create = ReactivePool();
  *create.mutable_pool()->mutable_step() = ToProto(absl::Hours(1));  // None ends in the future.
  v1::HaproxyUsage& usage = *create.mutable_pool()->add_usage_sources()->mutable_haproxy();
  usage.set_socket_path("/run/haproxy.sock");
  usage.set_frontend("public");
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(create).ok());
  PollFor(simulation, 10, absl::Minutes(10));
  Jump(simulation, kFar);
  PollFor(simulation, 90, absl::Minutes(4));
  REQUIRE(CountMembers(simulation, v1::Instance::ACTIVE) == 2);
  simulation.while_down = [&] { Jump(simulation, -kFar); };
  simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kDone);
  PollFor(simulation, 10, absl::Minutes(90));  // Sizes shrink at the end of a step.
  REQUIRE(simulation.starts() == 2);
  CHECK(CountMembers(simulation, v1::Instance::ACTIVE) == 0);
}

TEST_CASE("a clock that creeps is no event") {
  Simulation simulation;
  AddUsagePool(simulation, false);
  for (int i = 0; i < 20; ++i) {
    Jump(simulation, absl::Seconds(i % 2 == 0 ? 4 : -4));
    simulation.Run(absl::Seconds(2));
  }
  CHECK(EventsOf(simulation, "the wall clock") == 0);
}

v1::Condition ClockSteady(Simulation& simulation) {
  for (const v1::Condition& condition : simulation.loop().TakeSnapshot()->conditions) {
    if (condition.type() == "ClockSteady") return condition;
  }
  return {};
}

TEST_CASE(
    "a clock that was set is a condition of the daemon until it has been steady for a while") {
  Simulation simulation;
  AddUsagePool(simulation, true);
  simulation.Run(absl::Seconds(5));
  CHECK(ClockSteady(simulation).status() == v1::Condition::TRUE);
  CHECK(EventsOf(simulation, "ClockSteady") == 0);
  Jump(simulation, absl::Hours(1));
  simulation.Run(absl::Minutes(5));
  CHECK(ClockSteady(simulation).reason() == "SetForward");
  Jump(simulation, -absl::Hours(1));
  Jump(simulation, -absl::Hours(1));  // One jump, where nothing came between.
  const absl::Time set_back = simulation.now().wall;
  simulation.Run(absl::Minutes(1));
  Jump(simulation, -absl::Hours(2));
  simulation.Run(absl::Minutes(8));
  const v1::Condition unsteady = ClockSteady(simulation);
  CHECK(unsteady.status() == v1::Condition::FALSE);
  CHECK(unsteady.reason() == "SetBack");
  CHECK(unsteady.message() == "the wall clock was set back by 2h");
  CHECK(FromProto(unsteady.since_time()) < set_back - absl::Hours(1));
  CHECK(EventsOf(simulation, "ClockSteady is FALSE (SetForward): the wall clock") == 1);
  CHECK(EventsOf(simulation, "ClockSteady is FALSE (SetBack): the wall clock") == 2);
  simulation.Run(absl::Minutes(3));
  CHECK(ClockSteady(simulation).status() == v1::Condition::TRUE);
  CHECK(ClockSteady(simulation).message().empty());
  CHECK(EventsOf(simulation, "ClockSteady is TRUE (Steady)") == 1);
}

TEST_CASE("a glance at a far future is forgotten by the forecast") {
  Simulation simulation;
  AddUsagePool(simulation, false);
  REQUIRE_FALSE(RunUnder(simulation, 10, absl::Hours(1)));
  const bool restarts = GENERATE(false, true);
  INFO(restarts);
  Jump(simulation, kFar);
  REQUIRE_FALSE(RunUnder(simulation, 30, absl::Minutes(5)));
  REQUIRE(PoolOf(simulation).forecaster->LastStep() > simulation.now().wall - absl::Hours(1));
  if (restarts) {
    simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kDone);
    simulation.while_down = [&] { Jump(simulation, -kFar); };
    simulation.Call(Report(simulation.now().wall, 30)).status().IgnoreError();
    simulation.Run(absl::Seconds(1));
  } else {
    Jump(simulation, -kFar);
  }
  REQUIRE_FALSE(RunUnder(simulation, 10, absl::Minutes(10)));
  const absl::Time last = PoolOf(simulation).forecaster->LastStep();
  CHECK(last < simulation.now().wall);
  CHECK(last >= simulation.now().wall - absl::Minutes(3));
  CHECK(PoolOf(simulation).forecaster->SampleCount() >= 60);
  CHECK_FALSE(PoolOf(simulation).record.learn_again());
  CHECK(EventsOf(simulation, "the wall clock was set forward by 960h") == 1);
  CHECK(EventsOf(simulation, "the wall clock was set back by 960h") == (restarts ? 0 : 1));
}

TEST_CASE("an answer is remembered for a day of real time, whatever the wall clock does") {
  Simulation simulation;
  AddUsagePool(simulation, false);
  v1::CreateShadowPoolRequest create = CreateShadow(50);
  create.set_request_id("once");
  REQUIRE(simulation.Call(create).ok());
  const auto again = [&] { return simulation.Call(create).ok(); };
  for (const absl::Duration jump : {kFar, -2 * kFar}) {
    Jump(simulation, jump);
    simulation.Run(absl::Minutes(5));
    CHECK(again());
  }
  simulation.Run(absl::Hours(23));
  CHECK(again());
  simulation.Run(absl::Hours(2));
  CHECK_FALSE(again());  // The shadow pool is there already.
}

TEST_CASE("the loop rests between its ticks, before 1970 and after 2262 too") {
  for (const char* day :
       {"0001-01-02", "1815-06-18", "1969-12-31", "2039-01-01", "2263-01-01", "9948-01-01"}) {
    INFO(day);
    Simulation simulation;
    absl::Time wall;
    REQUIRE(absl::ParseTime("%Y-%m-%d", day, &wall, nullptr));
    simulation.SetWall(wall);
    AddUsagePool(simulation, true);
    PollFor(simulation, 90, absl::Minutes(5));  // Throws where it does not come to rest.
    CHECK(CountMembers(simulation, v1::Instance::ACTIVE) == 2);
    CHECK(simulation.inputs() < 2000);
  }
}

}  // namespace
}  // namespace shadow
