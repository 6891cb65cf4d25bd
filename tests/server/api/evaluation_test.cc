// Scores of what a real store holds, made behind what people ask for.
#include "server/evaluation.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <future>
#include <string>
#include <vector>

#include "server/core/error.h"
#include "server/core/spec.h"
#include "server/core/time_proto.h"
#include "tests/fakes/manual_clock.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

constexpr absl::Duration kStep = absl::Minutes(15);

const auto kNever = [] { return false; };

v1::Pool SomePool(bool costs = false) {
  v1::Pool pool;
  pool.set_name("pools/web");
  pool.set_dna("dnas/web");
  *pool.mutable_step() = ToProto(kStep);
  *pool.add_season_lengths() = ToProto(absl::Hours(24));
  pool.set_external_capacity(60);
  pool.set_instance_capacity(10);
  if (costs) {
    pool.mutable_policy()->set_idle_cost(0.5);
    pool.mutable_policy()->set_shortage_cost(10);
  }
  const auto compiled = CompilePool(pool);
  REQUIRE(compiled.ok());
  return compiled->pool;
}

// A store with days of a wave between 10 and 110 that ends at the clock's now.
class Recorded {
 public:
  explicit Recorded(absl::Duration span) : store_(OpenStore(directory_.path())) {
    v1::WriteBatch batch;
    v1::SampleBatch& samples = *batch.add_samples();
    samples.set_pool("pools/web");
    for (absl::Duration at = -span; at < absl::ZeroDuration(); at += kStep) {
      v1::Sample& sample = *samples.add_samples();
      *sample.mutable_time() = ToProto(now() + at);
      sample.set_value(60 + 50 * std::sin(absl::FDivDuration(at, absl::Hours(24)) * 6.2832));
    }
    REQUIRE(CommitAndWait(*store_, std::move(batch)).ok());
  }

  Store& store() { return *store_; }
  const Clock& clock() const { return clock_; }
  absl::Time now() const { return clock_.Now().wall; }

 private:
  const TempDirectory directory_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
};

TEST_CASE("a score is the evaluation of the default window in short") {
  Recorded world(absl::Hours(24 * 5));
  const v1::Pool pool = SomePool();
  const auto evaluated = Evaluate(world.store(), {}, pool, world.now(), kNever);
  REQUIRE(evaluated.ok());
  const auto score = ScorePool(world.store(), pool, world.now(), kNever);
  REQUIRE(score.ok());
  CHECK(score->scored_steps() == 4 * 96);  // Of five days the first is learned from.
  CHECK(FromProto(score->end_time()) == world.now());
  CHECK(FromProto(score->start_time()) == world.now() - absl::Hours(24 * 4));
  CHECK(score->automatic().hit_rate() == evaluated->automatic().hit_rate());
  CHECK(score->automatic().missed_steps() == evaluated->automatic().missed_steps());
  CHECK(score->automatic().unserved_share() == evaluated->automatic().unserved_share());
  CHECK(score->automatic().created_per_day() == evaluated->automatic().created_per_day());
  CHECK(score->automatic().idle_instances() * 96 ==
        Approx(evaluated->automatic().idle_instance_hours()));  // 4 days are 96 h.
  CHECK_FALSE(score->automatic().has_cost());
  // Half of the wave is above the base of 60.
  CHECK(score->base_alone().hit_rate() == Approx(0.5).margin(0.02));
  CHECK(score->base_alone().idle_instances() == 0);
  CHECK(score->automatic().hit_rate() > score->base_alone().hit_rate());
}

TEST_CASE("a policy with costs is scored at its costs") {
  Recorded world(absl::Hours(24 * 4));
  const auto score = ScorePool(world.store(), SomePool(/*costs=*/true), world.now(), kNever);
  REQUIRE(score.ok());
  REQUIRE(score->base_alone().has_cost());
  v1::EvaluatePoolRequest request;
  request.mutable_prices()->set_idle_cost_per_instance_hour(0.5);
  request.mutable_prices()->set_shortage_cost_per_instance_hour(10);
  const auto evaluated = Evaluate(world.store(), request, SomePool(true), world.now(), kNever);
  REQUIRE(evaluated.ok());
  CHECK(score->automatic().cost() == evaluated->automatic().cost());
  CHECK(score->base_alone().cost() == 10 * evaluated->present().unserved_instance_hours());
}

TEST_CASE("without two seasons there is no score, and the error says how much there is") {
  Recorded nothing(absl::ZeroDuration());
  Recorded little(absl::Hours(30));
  const struct {
    Store& store;
    const char* has;
  } rows[] = {{nothing.store(), "pools/web has 0 of demand"},
              {little.store(), "pools/web has 30h of demand"}};
  for (const auto& row : rows) {
    const absl::Status status = ScorePool(row.store, SomePool(), little.now(), kNever).status();
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(ErrorReason(status) == "NO_HISTORY");
    CHECK(status.message() == std::string(row.has) +
                                  "; an evaluation needs two of its shortest seasons, 48h: one to "
                                  "learn from and one to score");
  }
}

TEST_CASE("scores wait for what people ask for, and give way to it") {
  Recorded world(absl::Hours(24 * 30));
  SimulationWorker worker;
  std::promise<void> begun;
  std::promise<void> go_on;
  REQUIRE(worker
              .Post("person",
                    [&] {
                      begun.set_value();
                      go_on.get_future().wait();
                    })
              .ok());
  begun.get_future().wait();
  std::promise<absl::Status> scored;
  ScoreInBackground(world.store(), worker, world.clock(), SomePool(),
                    [&](const auto& score) { scored.set_value(score.status()); });
  CHECK(absl::IsResourceExhausted(worker.PostBackground([] {})));
  bool after_people = false;
  REQUIRE(worker.Post("person", [&] { after_people = true; }).ok());
  go_on.set_value();
  CHECK(scored.get_future().get().ok());
  CHECK(after_people);

  std::promise<void> running;
  std::promise<bool> gave_way;
  REQUIRE(worker
              .PostBackground([&] {
                running.set_value();
                while (!worker.BackgroundMustEnd()) std::this_thread::yield();
                gave_way.set_value(true);
              })
              .ok());
  running.get_future().wait();
  std::promise<void> asked;
  REQUIRE(worker.Post("person", [&] { asked.set_value(); }).ok());
  asked.get_future().wait();
  CHECK(gave_way.get_future().get());

  worker.Shutdown();
  std::promise<absl::Status> stopped;
  ScoreInBackground(world.store(), worker, world.clock(), SomePool(),
                    [&](const auto& score) { stopped.set_value(score.status()); });
  CHECK(absl::IsCancelled(stopped.get_future().get()));
}

}  // namespace
}  // namespace shadow
