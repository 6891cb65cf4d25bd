// Days of the control loop on a manual clock.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

constexpr absl::Duration kStep = absl::Minutes(5);

// 60 at night, 240 from 9 to 17 h UTC, an hour's ramp between; a little deterministic noise.
double DemandAt(absl::Time time) {
  const double hour = absl::ToDoubleHours(absl::Floor(time - absl::UnixEpoch(), kStep));
  const double of_day = hour - 24 * std::floor(hour / 24);
  const double share = std::clamp(std::min(of_day - 8, 18 - of_day), 0.0, 1.0);
  return 60 + 180 * share + 3 * std::sin(hour * 7.3);
}

// A base of 100 that is not managed, no balancer; an instance carries 50.
v1::CreatePoolRequest DailyPool(v1::Policy::Mode mode) {
  v1::CreatePoolRequest request = CreatePool(0, mode);
  v1::Pool& pool = *request.mutable_pool();
  pool.clear_balancer();
  pool.set_external_capacity(100);
  *pool.mutable_step() = ToProto(kStep);
  *pool.add_season_lengths() = ToProto(absl::Hours(24));
  *pool.mutable_policy()->mutable_activation_interval() = ToProto(kStep);
  *pool.mutable_policy()->mutable_provisioning_lead() = ToProto(absl::Minutes(15));
  *pool.mutable_policy()->mutable_activation_lead() = ToProto(absl::Seconds(2));
  return request;
}

struct StepReport {
  absl::Time time;
  double demand = 0;
  int instances = 0;
  int active = 0;
};

// One row a step: what there was at its end.
std::vector<StepReport> RunDays(Simulation& simulation, int days) {
  std::vector<StepReport> reports;
  for (int64_t step = 0; step < days * (absl::Hours(24) / kStep); ++step) {
    simulation.Run(kStep);
    const absl::Time time = simulation.now().wall - absl::Seconds(1);
    if (!simulation.Call(Report(time, DemandAt(time))).ok()) return {};
    reports.push_back({.time = time,
                       .demand = DemandAt(time),
                       .instances = static_cast<int>(simulation.provider.Lives().size()),
                       .active = CountMembers(simulation, v1::Instance::ACTIVE)});
  }
  return reports;
}

std::string Serialized(const std::vector<v1::Decision>& decisions) {
  std::string bytes;
  for (const v1::Decision& decision : decisions) bytes += decision.SerializeAsString();
  return bytes;
}

}  // namespace

TEST_CASE("a week in AUTOMATIC: shadows come before the rise, cover it, go after it, and repeat") {
  // Lists of instances are rare here: nothing in this world dies.
  const Simulation::Options options{
      .latency = absl::Milliseconds(10), .list_latency = absl::Minutes(10), .instances_max = 1000};
  std::string first;
  for (int run = 0; run < 2; ++run) {
    Simulation simulation(options);
    REQUIRE(simulation.Call(CreateDna()).ok());
    REQUIRE(simulation.Call(DailyPool(v1::Policy::AUTOMATIC)).ok());
    const std::vector<StepReport> reports = RunDays(simulation, 7);
    REQUIRE(reports.size() == 7 * 288);
    if (run == 0) {
      first = Serialized(simulation.store().decisions());
      REQUIRE_FALSE(first.empty());
    } else {
      CHECK(Serialized(simulation.store().decisions()) == first);
    }
    int covered = 0;
    int ahead = 0;
    int rises = 0;
    int steps = 0;
    for (size_t i = 4 * 288; i < reports.size(); ++i) {
      const StepReport& report = reports[i];
      ++steps;
      covered += 100 + 50 * report.active >= report.demand;
      const bool rises_here = report.demand >= 100 && reports[i - 1].demand < 100 &&
                              reports[i + 6 < reports.size() ? i + 6 : i].demand > 150;
      rises += rises_here;
      // Ten minutes before the base is too small: instances that wait, and none that serves.
      ahead += rises_here && reports[i - 2].instances >= 1;
      const double hour = absl::ToDoubleHours(report.time - absl::UnixEpoch());
      const double of_day = hour - 24 * std::floor(hour / 24);
      if (of_day > 20 || of_day < 6) {
        INFO("at hour " << of_day << " of day " << i / 288);
        CHECK(report.instances == 0);
      }
    }
    CHECK(rises == 3);
    CHECK(ahead == rises);
    CHECK(covered >= steps * 0.99);
  }
}

TEST_CASE("a day in OBSERVE initiates nothing and records what it would have done") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(DailyPool(v1::Policy::OBSERVE)).ok());
  for (const StepReport& report : RunDays(simulation, 1)) REQUIRE(report.instances == 0);
  CHECK(simulation.world().pools.at("web").shadows.empty());
  CHECK(simulation.provider.Calls(FakeProvider::Verb::kCreate) == 0);
  const auto& decisions = simulation.store().decisions();
  CHECK(std::any_of(decisions.begin(), decisions.end(),
                    [](const v1::Decision& one) { return one.target_instances() > 0; }));
  for (const v1::Decision& decision : decisions) REQUIRE_FALSE(decision.acted());
}

TEST_CASE("in OBSERVE a shadow made by hand is kept up: a dead instance is replaced") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(0)).ok());
  REQUIRE(simulation.Call(CreateShadow(100)).ok());
  const auto suspended = [&] { return ShadowIs(simulation, v1::ShadowPool::SUSPENDED); };
  REQUIRE(simulation.RunUntil(suspended, absl::Minutes(1)));
  REQUIRE(simulation.provider.Lives().size() == 2);
  const std::string dead = simulation.provider.Lives().begin()->first;
  simulation.provider.Exit(dead, "killed by a test");
  REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, v1::Instance::FAILED) == 1; },
                              absl::Minutes(1)));
  REQUIRE(simulation.RunUntil(
      [&] { return CountMembers(simulation, v1::Instance::SUSPENDED) == 2; }, absl::Minutes(1)));
  CHECK(simulation.RunUntil([&] { return simulation.provider.Lives().size() == 2; },
                            absl::Minutes(1)));
  CHECK_FALSE(simulation.provider.Lives().contains(dead));
}

}  // namespace shadow
