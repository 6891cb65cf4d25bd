// The control loop on the daemon's step workers: what it does must not depend on their number.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/core/loop/pool_work.h"
#include "server/core/loop/settle.h"
#include "server/step_workers.h"
#include "tests/server/core/scenario/planning_world.h"

namespace shadow {
namespace {

constexpr int kPools = 9;
constexpr int kFitsPerTick = 2;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr absl::Duration kSpan = absl::Hours(2);
#else
constexpr absl::Duration kSpan = absl::Hours(9);
#endif

// All that a store has of a few hours of pools that want more instances than there are.
std::vector<std::string> RecordsOf(const ParallelFor& parallel_for) {
  PlanningWorld world(Simulation::Options{.list_latency = PlanningWorld::kListLatency,
                                          .instances_max = 20,
                                          .parallel_for = parallel_for,
                                          .fits_per_tick = kFitsPerTick});
  for (int i = 0; i < kPools; ++i) {
    const std::string id = absl::StrCat("web-", i);
    world.Create(PlanningWorld::Pool(id));
    world.demand[id] = {.kind = DemandShape::Kind::kDay,
                        .low = 60.0 + i,
                        .high = 150.0 + 25 * i,
                        .noise = 3.0 * i,
                        .seed = static_cast<unsigned>(i)};
    world.ImportHistory(id, absl::Hours(72));
  }
  world.Run(kSpan);
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

TEST_CASE("a pool that a queue names twice, as one made anew, is lent once") {
  World world;
  const auto spec = CompilePool(PlanningWorld::Pool("web"));
  REQUIRE(spec.ok());
  PoolEntry& pool = world.pools["web"];
  pool.id = "web";
  pool.spec = std::make_shared<const CompiledPool>(*spec);
  OpenPool(pool, Instant{});
  world.fit_queue = world.save_queue = {"web", "gone", "web"};
  pool.fit_queued = pool.save_queued = true;
  Changes changes(world, Instant{});
  SaveNext(changes, OneByOne);
  CHECK(changes.batch().put_forecasters_size() == 1);
  CHECK(world.save_queue.empty());
  CHECK_FALSE(pool.save_queued);
  REQUIRE(pool.forecaster->FitDue());
  FitNext(world, kFitsPerTick, [](size_t count, const std::function<void(size_t)>& part) {
    REQUIRE(count <= 1);
    OneByOne(count, part);
  });
  CHECK(world.fit_queue.empty());
}

TEST_CASE("saves that are due at once are spread over ticks, and each pool is saved once") {
  ControlLoop loop({});
  Instant now{.wall = absl::FromUnixSeconds(1'700'006'400), .mono = absl::Hours(1)};
  loop.Recover(now);
  REQUIRE(loop.Handle(CreateDna(), now).answer.ok());
  const size_t pools = kSavesPerTick + 40;
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
  CHECK(loop.Tick(now).batch.put_forecasters_size() == 40);
  CHECK(loop.NextTick() > now.mono);
  CHECK(loop.Close(now)->batch.put_forecasters_size() == static_cast<int>(kSavesPerTick));
  CHECK(loop.Close(now)->batch.put_forecasters_size() == 40);
  CHECK_FALSE(loop.Close(now).has_value());
}

}  // namespace shadow
