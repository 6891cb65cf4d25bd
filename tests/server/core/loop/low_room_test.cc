// While the disk has little room: what is refused, what is left out, and what goes on.
#include "server/core/loop/room/low_room.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "server/core/error.h"
#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

using S = v1::ShadowPool;
using C = v1::Condition;

DiskRoom Low(bool scarce = false) {
  return {.directory = "/var/lib/shadowd",
          .free_bytes = 3 << 19,
          .wanted_bytes = 24 << 20,
          .low = true,
          .scarce = scarce};
}

DiskRoom Ample() {
  return {.directory = "/var/lib/shadowd", .free_bytes = 1 << 30, .wanted_bytes = 8 << 20};
}

void AddPool(Simulation& simulation, bool polled = false) {
  REQUIRE(simulation.Call(CreateDna()).ok());
  v1::CreatePoolRequest create = CreatePool(1);
  if (polled) {
    v1::HaproxyUsage& usage = *create.mutable_pool()->add_usage_sources()->mutable_haproxy();
    usage.set_socket_path("/run/haproxy.sock");
    usage.set_frontend("public");
  }
  REQUIRE(simulation.Call(create).ok());
}

// A suspended shadow of two, and low room.
void AddShadowThenFill(Simulation& simulation) {
  AddPool(simulation);
  REQUIRE(simulation.Call(CreateShadow(150)).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::SUSPENDED); }, kLimit));
  simulation.SetRoom(Low());
}

std::vector<v1::Event> RoomEvents(const Simulation& simulation) {
  std::vector<v1::Event> told;
  for (const v1::Event& event : simulation.store().events()) {
    if (event.message().starts_with("DiskSpace is ")) told.push_back(event);
  }
  return told;
}

C DiskSpace(Simulation& simulation) {
  for (const C& condition : simulation.loop().TakeSnapshot()->conditions) {
    if (condition.type() == "DiskSpace") return condition;
  }
  return {};
}

size_t StoredSamples(const Simulation& simulation) {
  const auto found = simulation.store().samples().find(kPool);
  return found == simulation.store().samples().end() ? 0 : found->second.size();
}

// As a source that is read every 2 s.
void PollSource(Simulation& simulation, absl::Duration span) {
  for (absl::Duration passed; passed < span; passed += absl::Seconds(2)) {
    simulation.usage.Push(kPool, simulation.now().wall, 10);
    simulation.Run(absl::Seconds(2));
  }
}

std::vector<Request> RequestsThatAdd(const Simulation& simulation) {
  v1::CreateDnaRequest dna = CreateDna();
  dna.mutable_dna()->set_name("dnas/other");
  v1::CreatePoolRequest pool = CreatePool(0);
  pool.mutable_pool()->set_name("pools/other");
  v1::UpdatePoolRequest update;
  *update.mutable_pool() = CreatePool(2).pool();
  v1::UpdateShadowPoolRequest resize;
  resize.mutable_shadow_pool()->set_name(OnlyShadow(simulation)->name());
  resize.mutable_shadow_pool()->set_target_instances(3);
  v1::ReportUsageRequest stream;
  stream.set_pool(kPool);
  *stream.mutable_samples() = Report(simulation.now().wall, 1).samples();
  return {dna,
          UpdateDna(),
          pool,
          update,
          CreateShadow(1),
          resize,
          stream,
          Report(simulation.now().wall, 1)};
}

TEST_CASE("with low room what would be stored anew is refused, saying what is free and wanted") {
  Simulation simulation;
  AddShadowThenFill(simulation);
  const int64_t revision = simulation.world().revision;
  for (const Request& request : RequestsThatAdd(simulation)) {
    INFO(std::visit([](const auto& message) { return message.GetTypeName(); }, request));
    const absl::Status refused = simulation.Call(request).status();
    CHECK(absl::IsResourceExhausted(refused));
    CHECK(ErrorReason(refused) == "LOW_DISK_SPACE");
    CHECK(std::string(refused.message())
              .starts_with("/var/lib/shadowd has 1.5 MiB free, wanted 24.0 MiB"));
  }
  CHECK(simulation.world().revision == revision);
  v1::CreateDnaRequest check = CreateDna();
  check.mutable_dna()->set_name("dnas/other");
  check.set_validate_only(true);
  CHECK(simulation.Call(check).ok());

  simulation.SetRoom(Ample());
  CHECK(simulation.Call(Report(simulation.now().wall, 1)).ok());
}

TEST_CASE("with low room instances are woken, suspended and deleted as ever") {
  Simulation simulation;
  AddShadowThenFill(simulation);
  const std::string name = OnlyShadow(simulation)->name();
  REQUIRE(simulation.Call(Activate(name, 100)).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::ACTIVE); }, kLimit));
  REQUIRE(simulation.Call(Activate(name, 0)).ok());
  REQUIRE(simulation.RunUntil([&] { return ShadowIs(simulation, S::SUSPENDED); }, kLimit));
  REQUIRE(simulation.Call(DeleteShadow(name)).ok());
  CHECK(simulation.RunUntil([&] { return OnlyShadow(simulation) == nullptr; }, kLimit));
}

TEST_CASE("the answer to a request that comes again is given with low room too") {
  Simulation simulation;
  AddPool(simulation);
  v1::CreateShadowPoolRequest request = CreateShadow(150);
  request.set_request_id("once");
  REQUIRE(simulation.Call(request).ok());
  simulation.SetRoom(Low());
  CHECK(simulation.Call(request).ok());
}

TEST_CASE("room that turns low is a condition of the daemon, and one event each way") {
  Simulation simulation;
  AddPool(simulation);
  CHECK(DiskSpace(simulation).status() == C::STATUS_UNSPECIFIED);
  simulation.SetRoom(Ample());
  CHECK(DiskSpace(simulation).status() == C::TRUE);
  CHECK(RoomEvents(simulation).empty());
  for (int64_t free = 3 << 20; free > 0; free -= 1 << 20) {
    DiskRoom low = Low();
    low.free_bytes = free;
    simulation.SetRoom(low);
    simulation.Run(absl::Seconds(10));
  }
  const C low = DiskSpace(simulation);
  CHECK(low.status() == C::FALSE);
  CHECK(low.reason() == "LowSpace");
  CHECK(low.message().starts_with("/var/lib/shadowd has 1.0 MiB free, wanted 24.0 MiB"));
  REQUIRE(RoomEvents(simulation).size() == 1);
  CHECK(RoomEvents(simulation)[0].message().starts_with("DiskSpace is FALSE (LowSpace): "));
  simulation.SetRoom(Ample());
  CHECK(DiskSpace(simulation).status() == C::TRUE);
  REQUIRE(RoomEvents(simulation).size() == 2);
  CHECK(RoomEvents(simulation)[1].message() == "DiskSpace is TRUE (Enough)");
}

TEST_CASE("with low room one sample a step is stored, with scarce room none, and all count") {
  Simulation simulation;
  AddPool(simulation, true);
  PollSource(simulation, absl::Minutes(2));
  const size_t before = StoredSamples(simulation);
  CHECK(before >= 50);
  simulation.SetRoom(Low());
  PollSource(simulation, absl::Minutes(4));
  const size_t thinned = StoredSamples(simulation) - before;
  CHECK(thinned >= 3);
  CHECK(thinned <= 5);
  simulation.SetRoom(Low(true));
  PollSource(simulation, absl::Minutes(4));
  CHECK(StoredSamples(simulation) == before + thinned);
  // The pool itself has seen them all.
  const PoolEntry& pool = simulation.world().pools.at("web");
  CHECK(pool.demand.last_sample >= simulation.now().wall - absl::Seconds(5));
  CHECK(pool.forecaster->LastStep() >= simulation.now().wall - 3 * pool.spec->step);
  const int64_t left_out = simulation.world().room.samples_left_out;
  CHECK(left_out >= 200);
  simulation.SetRoom(Ample());
  CHECK(RoomEvents(simulation).back().message() ==
        "DiskSpace is TRUE (Enough): " + std::to_string(left_out) +
            " samples were not stored while it was low");
  PollSource(simulation, absl::Minutes(1));
  CHECK(StoredSamples(simulation) > before + thinned + 20);
}

TEST_CASE("no forecast is saved with low room, and it is as soon as there is enough") {
  Simulation simulation;
  AddPool(simulation, true);
  const auto saved = [&] {
    const v1::StoreContents contents = simulation.store().Contents();
    return contents.forecasters_size() == 0 ? std::string() : contents.forecasters(0).state();
  };
  PollSource(simulation, absl::Minutes(2));
  simulation.SetRoom(Low());
  const std::string before = saved();
  PollSource(simulation, absl::Minutes(40));
  CHECK(saved() == before);
  CHECK_FALSE(simulation.loop().Close(simulation.now()).has_value());

  Simulation other;  // Nothing may follow Close.
  AddPool(other, true);
  PollSource(other, absl::Minutes(2));
  other.SetRoom(Low());
  PollSource(other, absl::Minutes(40));
  const auto first = other.store().Contents();
  other.SetRoom(Ample());
  PollSource(other, absl::Minutes(2));
  REQUIRE(other.store().Contents().forecasters_size() == 1);
  CHECK((first.forecasters_size() == 0 ||
         first.forecasters(0).state() != other.store().Contents().forecasters(0).state()));
}

}  // namespace
}  // namespace shadow
