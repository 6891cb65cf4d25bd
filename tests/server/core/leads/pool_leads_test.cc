// Lead times are learned from what instances took.
#include "server/core/leads/pool_leads.h"

#include <catch2/catch.hpp>

#include "server/core/leads/learned_lead.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

const PoolEntry& Web(const Simulation& simulation) { return simulation.world().pools.at("web"); }

// A pool behind HAProxy with a shadow of one instance, which is woken and suspended again.
struct Waking {
  Simulation simulation;
  std::string shadow;

  Waking() {
    REQUIRE(simulation.Call(CreateDna()).ok());
    REQUIRE(simulation.Call(CreatePool(1)).ok());
    REQUIRE(simulation.Call(CreateShadow(50)).ok());
    simulation.Run(absl::Minutes(1));
    shadow = OnlyShadow(simulation)->name();
  }

  absl::Duration Lead() const { return ActivationLead(Web(simulation)); }

  // Takes `within`, in all. `stalls`: how long the balancer refuses it.
  void Wake(absl::Duration within, absl::Duration stalls = absl::ZeroDuration()) {
    FakeBalancer& balancer = simulation.balancers.at("pools/web");
    const absl::Duration end = simulation.now().mono + within;
    if (stalls > absl::ZeroDuration()) {
      balancer.Fail(FakeBalancer::Verb::kAssign, absl::UnavailableError("reloading"), 1'000'000);
    }
    REQUIRE(simulation.Call(Activate(shadow, 100)).ok());
    simulation.Run(stalls);
    balancer.Fail(FakeBalancer::Verb::kAssign, absl::OkStatus(), 0);
    REQUIRE(simulation.RunUntil([&] { return CountMembers(simulation, v1::Instance::ACTIVE) == 1; },
                                absl::Minutes(1)));
    REQUIRE(simulation.Call(Activate(shadow, 0)).ok());
    simulation.Run(end - simulation.now().mono);
    REQUIRE(CountMembers(simulation, v1::Instance::SUSPENDED) == 1);
  }
};

}  // namespace

TEST_CASE("what an instance served before it was first suspended is no lead") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  const std::string name = OnlyShadow(simulation)->name();
  REQUIRE(simulation.Call(Activate(name, 100)).ok());  // While it is created.
  simulation.Run(absl::Minutes(30));
  REQUIRE(CountMembers(simulation, v1::Instance::ACTIVE, v1::Instance::SHADOW) == 1);
  REQUIRE(simulation.Call(Activate(name, 0)).ok());
  simulation.Run(absl::Minutes(1));
  REQUIRE(CountMembers(simulation, v1::Instance::SUSPENDED, v1::Instance::SHADOW) == 1);
  CHECK(Web(simulation).record.provisioning().bursts_size() == 1);  // The base's too.
  CHECK(ProvisioningLead(Web(simulation)) < absl::Seconds(10));
}

TEST_CASE("a provider that has slowed down lengthens the lead before its instances are there") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  simulation.Run(absl::Minutes(1));
  const Instant before = simulation.now();
  CHECK(ProvisioningLeadNow(Web(simulation), before.wall) < absl::Seconds(10));
  simulation.provider.Set([](FakeProvider::Knobs& knobs) { knobs.start_inspections = 1'000; });
  REQUIRE(simulation.Call(CreateShadow(50)).ok());
  simulation.Run(absl::Seconds(25));
  CHECK(ProvisioningLeadNow(Web(simulation), simulation.now().wall) >= absl::Seconds(24));
}

TEST_CASE("a provider that makes one instance late does not lengthen the lead of the others") {
  Simulation simulation;
  REQUIRE(simulation.Call(CreateDna()).ok());
  REQUIRE(simulation.Call(CreatePool(1)).ok());
  REQUIRE(simulation.Call(CreateShadow(500)).ok());
  const std::string late = simulation.world().pools.at("web").members.rbegin()->first;
  simulation.provider.Fail(FakeProvider::Verb::kCreate, late, absl::UnavailableError("busy"), 100);
  simulation.Run(absl::Seconds(25));
  REQUIRE(CountMembers(simulation, v1::Instance::CREATING) == 1);
  REQUIRE(CountMembers(simulation, v1::Instance::SUSPENDED) == 8);
  CHECK(ProvisioningLeadNow(Web(simulation), simulation.now().wall) < absl::Seconds(10));
}

TEST_CASE("a bad minute of the balancer is not what the next activation is expected to take") {
  Waking waking;
  for (int i = 0; i < 6; ++i) waking.Wake(absl::Hours(1));
  const absl::Duration usual = waking.Lead();
  CHECK(usual < absl::Seconds(1));
  waking.Wake(absl::Minutes(2), absl::Minutes(1));
  CHECK(waking.Lead() <= 1.5 * usual);  // A minute later.
  waking.simulation.Run(absl::Hours(1));
  CHECK(waking.Lead() <= 1.5 * usual);  // An hour later, and nothing was woken.
  for (int i = 0; i < 23; ++i) waking.Wake(absl::Hours(1));
  CHECK(waking.Lead() <= 1.01 * usual);  // A day later.
}

TEST_CASE("a balancer that has slowed down for good lengthens the lead with the second instance") {
  Waking waking;
  for (int i = 0; i < 6; ++i) waking.Wake(absl::Hours(1), absl::Seconds(10));
  CHECK(waking.Lead() >= absl::Seconds(10));
  CHECK(waking.Lead() < absl::Seconds(16));  // It is tried again every 5 s.
  waking.Wake(absl::Hours(1), absl::Seconds(60));
  CHECK(waking.Lead() < absl::Seconds(24));
  waking.Wake(absl::Hours(1), absl::Seconds(60));
  CHECK(waking.Lead() >= absl::Seconds(60));
}

TEST_CASE("what the balancer took is no part of what the instance took") {
  Waking waking;
  for (int i = 0; i < 3; ++i) waking.Wake(absl::Hours(1), absl::Seconds(20));
  const v1::PoolRecord& record = Web(waking.simulation).record;
  CHECK(LeadFrom(record.waking(), kDefaultActivationLead) < absl::Seconds(1));
  CHECK(LeadFrom(record.balancing(), absl::ZeroDuration()) >= absl::Seconds(15));
  const v1::Pool& shown = record.pool();
  CHECK(FromProto(shown.activation_lead()) == waking.Lead());
  CHECK(FromProto(shown.activation_balancer_lead()) ==
        LeadFrom(record.balancing(), absl::ZeroDuration()));
}

TEST_CASE("leads that an older daemon recorded count on") {
  v1::PoolRecord record;
  for (int i = 0; i < 3; ++i) {
    *record.add_provisioning_leads() = ToProto(absl::Seconds(40));
    *record.add_activation_leads() = ToProto(absl::Seconds(4));
  }
  MigrateLeads(record);
  CHECK(record.provisioning_leads().empty());
  CHECK(record.activation_leads().empty());
  CHECK(LeadFrom(record.provisioning(), kDefaultProvisioningLead) == absl::Seconds(40));
  CHECK(LeadFrom(record.waking(), kDefaultActivationLead) == absl::Seconds(4));
  CHECK_FALSE(record.has_balancing());
}

}  // namespace shadow
