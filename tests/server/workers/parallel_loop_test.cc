// The control loop on the daemon's step workers and background workers: what it does must not
// depend on their number, nor on when they are done.
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/loop/learning/fits.h"
#include "server/core/loop/pool_open.h"
#include "server/core/loop/pool_work.h"
#include "server/workers/background_workers.h"
#include "server/workers/step_workers.h"
#include "tests/server/core/scenario/planning_world.h"

namespace shadow {
namespace {

constexpr int kPools = 9;

#ifdef SHADOW_SANITIZED
constexpr absl::Duration kSpan = absl::Hours(2);
#else
constexpr absl::Duration kSpan = absl::Hours(9);
#endif

std::string IdOf(int index) { return absl::StrCat("web-", index); }

// A few hours of pools with three days of history.
std::unique_ptr<PlanningWorld> WorldAfterHours(const Simulation::Options& options) {
  auto world = std::make_unique<PlanningWorld>(options);
  for (int i = 0; i < kPools; ++i) {
    const std::string id = IdOf(i);
    world->Create(PlanningWorld::Pool(id));
    world->demand[id] = {.kind = DemandShape::Kind::kDay,
                         .low = 60.0 + i,
                         .high = 150.0 + 25 * i,
                         .noise = 3.0 * i,
                         .seed = static_cast<unsigned>(i)};
    world->ImportHistory(id, absl::Hours(72));
  }
  world->Run(kSpan);
  return world;
}

// All that its store has.
std::vector<std::string> RecordsOf(const PlanningWorld& world) {
  std::vector<std::string> records;
  const StoreImage& store = world.simulation.store();
  for (const v1::Decision& decision : store.decisions()) {
    records.push_back(decision.ShortDebugString());
  }
  for (const v1::Event& event : store.events()) records.push_back(event.ShortDebugString());
  const v1::StoreContents contents = store.Contents();
  for (const auto& pool : contents.pools()) records.push_back(pool.ShortDebugString());
  for (const auto& saved : contents.forecasters()) records.push_back(saved.SerializeAsString());
  return records;
}

// Of pools that want more instances than there are.
std::vector<std::string> RecordsOf(const ParallelFor& parallel_for) {
  return RecordsOf(*WorldAfterHours({.list_latency = PlanningWorld::kListLatency,
                                     .instances_max = 20,
                                     .parallel_for = parallel_for}));
}

// Fits are made on `threads` background threads, or, without one, by the control thread.
std::vector<std::string> RecordsWithFitsOn(unsigned threads) {
  std::unique_ptr<BackgroundWorkers> workers;
  if (threads > 0) workers = std::make_unique<BackgroundWorkers>(threads);
  return RecordsOf(*WorldAfterHours({.list_latency = PlanningWorld::kListLatency,
                                     .instances_max = 20,
                                     .run_fit = [&](FitWork& work) {
                                       if (workers == nullptr) return work.Run();
                                       std::promise<void> made;
                                       workers->Post([&] {
                                         work.Run();
                                         made.set_value();
                                       });
                                       made.get_future().wait();
                                     }}));
}

}  // namespace

TEST_CASE("decisions, events and what is saved do not depend on the number of threads") {
  const std::vector<std::string> in_line = RecordsOf(OneByOne);
  REQUIRE(in_line.size() > 3 * kPools);
  for (const unsigned threads : {1U, 2U, 5U}) {
    StepWorkers workers(threads);
    const std::vector<std::string> records = RecordsOf(
        [&](size_t count, const std::function<void(size_t)>& part) { workers.Run(count, part); });
    CHECK(records == in_line);
  }
}

TEST_CASE("parts in any order, too, come to the same") {
  const auto backwards = [](size_t count, const std::function<void(size_t)>& part) {
    while (count > 0) part(--count);
  };
  CHECK(RecordsOf(backwards) == RecordsOf(OneByOne));
}

TEST_CASE("nor do they depend on how many background threads make the fits") {
  const std::vector<std::string> in_line = RecordsWithFitsOn(0);
  for (const unsigned threads : {1U, 4U}) CHECK(RecordsWithFitsOn(threads) == in_line);
}

TEST_CASE("fits that take long put steps off, of their pools alone, and change nothing learned") {
  const auto at_once = WorldAfterHours({.list_latency = PlanningWorld::kListLatency,
                                        .fit_latency = [] { return absl::ZeroDuration(); }});
  std::mt19937 random(1);
  // Up to a step and a half: a fit is due a step before it counts.
  int late = 0;
  const auto slowly =
      WorldAfterHours({.list_latency = PlanningWorld::kListLatency, .fit_latency = [&] {
                         const absl::Duration takes =
                             static_cast<int>(random() % 450) * absl::Seconds(1);
                         late += takes > PlanningWorld::kStep;
                         return takes;
                       }});
  CHECK(late > 0);
  int put_off = 0;
  for (const v1::Decision& decision : slowly->decisions()) {
    put_off += decision.time().seconds() % 300 > 2;
  }
  // Only decisions that change something are recorded: in two hours there may be none.
  if (kSpan > absl::Hours(2)) CHECK(put_off > 0);
  for (PlanningWorld* world : {at_once.get(), slowly.get()}) world->Run(absl::Minutes(4));
  for (int i = 0; i < kPools; ++i) {
    INFO(IdOf(i));
    const PoolEntry& pool = slowly->simulation.world().pools.at(IdOf(i));
    const PoolEntry& other = at_once->simulation.world().pools.at(IdOf(i));
    CHECK((pool.forecaster->Save() == other.forecaster->Save()));
    CHECK((pool.capacity->Save() == other.capacity->Save()));
  }
}

TEST_CASE("a pool that the queue of saves names twice, as one made anew, is saved once") {
  World world;
  const auto spec = CompilePool(PlanningWorld::Pool("web"));
  REQUIRE(spec.ok());
  PoolEntry& pool = world.pools["web"];
  pool.id = "web";
  pool.spec = std::make_shared<const CompiledPool>(*spec);
  OpenPool(world, pool, Instant{});
  world.save_queue = {"web", "gone", "web"};
  pool.learning.save_queued = true;
  Changes changes(world, Instant{});
  SaveNext(changes, OneByOne);
  CHECK(changes.batch().put_forecasters_size() == 1);
  CHECK(world.save_queue.empty());
  CHECK_FALSE(pool.learning.save_queued);
}

TEST_CASE("saves that are due at once are spread over ticks, and each pool is saved once") {
  ControlLoop loop({});
  Instant now{.wall = absl::FromUnixSeconds(1'700'006'400), .mono = absl::Hours(1)};
  loop.Recover(now);
  REQUIRE(loop.Handle(CreateDna(), now).answer.ok());
  const size_t pools = kSavesPerTick + 20;
  for (size_t i = 0; i < pools; ++i) {
    v1::CreatePoolRequest create;
    *create.mutable_pool() = PlanningWorld::Pool(absl::StrCat("web-", i));
    REQUIRE(loop.Handle(create, now).answer.ok());
    v1::ReportUsageBatchRequest report;
    report.set_pool(create.pool().name());
    *report.add_samples()->mutable_time() = ToProto(now.wall);
    REQUIRE(loop.Handle(report, now).answer.ok());
  }
  // The first step that ends live is saved at once.
  now = {.wall = now.wall + PlanningWorld::kStep, .mono = now.mono + PlanningWorld::kStep};
  CHECK(loop.Tick(now).batch.put_forecasters_size() == static_cast<int>(kSavesPerTick));
  CHECK(loop.NextTick() <= now.mono);
  CHECK(loop.Tick(now).batch.put_forecasters_size() == 20);
  CHECK(loop.NextTick() > now.mono);
  CHECK(loop.Close(now)->batch.put_forecasters_size() == static_cast<int>(kSavesPerTick));
  CHECK(loop.Close(now)->batch.put_forecasters_size() == 20);
  CHECK_FALSE(loop.Close(now).has_value());
}

TEST_CASE("a tick takes as many pools as it may, and the next one goes on with the rest at once") {
  ControlLoop loop({});
  Instant now{.wall = absl::FromUnixSeconds(1'700'006'400), .mono = absl::Hours(1)};
  loop.Recover(now);
  REQUIRE(loop.Handle(CreateDna(), now).answer.ok());
  const size_t pools = kPoolsPerTick + 20;
  for (size_t i = 0; i < pools; ++i) {
    v1::CreatePoolRequest create;
    *create.mutable_pool() = PlanningWorld::Pool(absl::StrCat("web-", i));
    REQUIRE(loop.Handle(create, now).answer.ok());
  }
  while (loop.NextTick() <= now.mono) loop.Tick(now);
  now = {.wall = now.wall + PlanningWorld::kStep, .mono = now.mono + PlanningWorld::kStep};
  const auto due = [&] {
    size_t count = 0;
    for (const auto& [id, pool] : loop.world().pools) count += pool.timers.due <= now.mono;
    return count;
  };
  CHECK(due() == pools);
  loop.Tick(now);
  CHECK(due() == 20);
  CHECK(loop.NextTick() <= now.mono);
  loop.Tick(now);
  CHECK(due() == 0);
}

}  // namespace shadow
