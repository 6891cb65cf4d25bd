// History for a pool that runs already.
#include "server/core/loop/learning/backfill.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "server/core/error.h"
#include "tests/server/core/scenario/planning_world.h"

namespace shadow {
namespace {

using Batch = v1::ReportUsageBatchRequest;

constexpr absl::Duration kStep = PlanningWorld::kStep;

DemandShape Day() {
  return {.kind = DemandShape::Kind::kDay, .low = 60, .high = 300, .noise = 8, .seed = 3};
}

// A sample for each step that ends in (begin, end].
Batch History(absl::Time begin, absl::Time end, Batch::Overlap overlap) {
  Batch request;
  request.set_pool("pools/web");
  request.set_overlap(overlap);
  for (absl::Time time = begin + kStep; time <= end; time += kStep) {
    v1::Sample& sample = *request.add_samples();
    *sample.mutable_time() = ToProto(time - absl::Seconds(1));
    sample.set_value(DemandAt(Day(), time - kStep));
  }
  return request;
}

// Its pool has run without history for `span`.
void Begin(PlanningWorld& world, absl::Duration span) {
  world.Run(absl::Hours(24 * 4));
  world.Create(PlanningWorld::Pool("web"));
  world.demand["web"] = Day();
  world.Run(span);
}

const PoolEntry& Web(const PlanningWorld& world) {
  return world.simulation.world().pools.at("web");
}

std::string Learned(const PlanningWorld& world) {
  return absl::BytesToHexString(Web(world).forecaster->Save()) +
         absl::BytesToHexString(Web(world).capacity->Save());
}

int64_t Taken(PlanningWorld& world, const Batch& request) {
  const Answer answer = world.simulation.Call(request);
  if (!answer.ok()) throw std::runtime_error(answer.status().ToString());
  return static_cast<const v1::ReportUsageBatchResponse&>(**answer).accepted_samples();
}

}  // namespace

TEST_CASE("history goes in before what a live pool has, and teaches it") {
  PlanningWorld world;
  Begin(world, absl::Hours(3));
  CHECK(Web(world).forecaster->Trust().trust == ForecastTrust::kTooLittleData);
  const absl::Time first = world.now() - absl::Hours(3);
  CHECK(Taken(world, History(first - absl::Hours(72), first, Batch::FAIL)) == 72 * 12);
  world.Run(absl::Minutes(1));
  const PoolEntry& pool = Web(world);
  CHECK_FALSE(pool.record.learn_again());
  CHECK(pool.forecaster->Trust().trust == ForecastTrust::kTrusted);
  CHECK(pool.forecaster->SampleCount() >= 74 * 12);
  CHECK(pool.capacity->started());
}

TEST_CASE("a restart at any time of it comes to the same") {
  const auto learned = [](int kill_after) {
    PlanningWorld world;
    Begin(world, absl::Hours(3));
    const absl::Time first = world.now() - absl::Hours(3);
    if (kill_after > 0) {
      world.simulation.KillAfter(world.simulation.inputs() + kill_after,
                                 Simulation::UnderWay::kNotDone);
    }
    world.Insist(History(first - absl::Hours(72), first, Batch::SKIP));
    world.Run(absl::Hours(1));
    CHECK(world.simulation.starts() == (kill_after > 0 ? 2 : 1));
    CHECK_FALSE(Web(world).record.learn_again());
    return Learned(world);
  };
  const std::string steady = learned(0);
  for (int kill_after = 1; kill_after <= 6; ++kill_after) {
    INFO(kill_after);
    CHECK(learned(kill_after) == steady);
  }
}

TEST_CASE("what a pool has learned again is what one knows that had the history from the first") {
  PlanningWorld late;
  Begin(late, absl::Hours(3));
  const absl::Time first = late.now() - absl::Hours(3);
  late.Insist(History(first - absl::Hours(72), first, Batch::FAIL));
  late.Run(absl::Hours(1));
  PlanningWorld early;
  early.Run(absl::Hours(24 * 4));
  early.Create(PlanningWorld::Pool("web"));
  early.demand["web"] = Day();
  early.Insist(History(first - absl::Hours(72), first, Batch::FAIL));
  early.Run(absl::Hours(4));
  CHECK(absl::BytesToHexString(Web(late).forecaster->Save()) ==
        absl::BytesToHexString(Web(early).forecaster->Save()));
}

TEST_CASE("samples between the oldest and the newest are refused or left out") {
  PlanningWorld world;
  Begin(world, absl::Hours(3));
  const absl::Time first = world.now() - absl::Hours(3);
  const Batch refused = History(first - kStep, first + 3 * kStep, Batch::FAIL);
  const Answer answer = world.simulation.Call(refused);
  CHECK(absl::IsInvalidArgument(answer.status()));
  CHECK(ErrorField(answer.status()) == "samples[1].time");
  CHECK(world.simulation.store().samples().at("pools/web").size() == 36);
  Batch dry = History(first - kStep, first + 3 * kStep, Batch::SKIP);
  dry.set_validate_only(true);
  CHECK(Taken(world, dry) == 1);
  CHECK(world.simulation.store().samples().at("pools/web").size() == 36);
  CHECK(Taken(world, History(first - kStep, first + 3 * kStep, Batch::SKIP)) == 1);
  CHECK(world.simulation.store().samples().at("pools/web").size() == 37);
  // The older part of a file may come in a request of its own, after the newer one.
  CHECK(Taken(world, History(first - 5 * kStep, first - kStep, Batch::FAIL)) == 4);
  world.Run(absl::Minutes(1));
  CHECK_FALSE(Web(world).record.learn_again());
  CHECK(Web(world).forecaster->SampleCount() == 36 + 5);
}

TEST_CASE("a pool that has not closed a step yet learns what is older all the same") {
  PlanningWorld world;
  world.Run(absl::Hours(24 * 4));
  world.Create(PlanningWorld::Pool("web"));
  world.Insist(Report(world.now() + absl::Seconds(1), 100));
  world.Insist(History(world.now() - absl::Hours(72), world.now(), Batch::FAIL));
  world.Run(2 * kStep);
  CHECK(Web(world).forecaster->SampleCount() == 72 * 12 + 1);
}

TEST_CASE("history without an overlap is refused, and told of it, also where samples are pushed") {
  PlanningWorld world;
  Begin(world, absl::Hours(1));
  Batch request = History(world.now() - absl::Hours(3), world.now(), Batch::FAIL);
  request.clear_overlap();
  const Answer answer = world.simulation.Call(request);
  CHECK(ErrorField(answer.status()) == "samples[0].time");
  CHECK_THAT(std::string(answer.status().message()),
             Catch::Matchers::Contains("with an overlap of FAIL or SKIP history is taken"));
}

TEST_CASE("a pool without samples takes a file with an overlap as any other") {
  PlanningWorld world;
  world.Create(PlanningWorld::Pool("web"));
  CHECK(Taken(world, History(world.now() - absl::Hours(1), world.now(), Batch::FAIL)) == 12);
  CHECK_FALSE(Web(world).record.learn_again());
}

}  // namespace shadow
