#include "server/simulation_worker.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <future>
#include <string>
#include <vector>

#include "server/core/time_proto.h"

namespace shadow {
namespace {

simulation::CompiledReplay SomeReplay(int days, int variants) {
  v1::Pool pool;
  pool.set_name("pools/web");
  pool.set_dna("dnas/web");
  *pool.mutable_step() = ToProto(absl::Minutes(5));
  pool.set_instance_capacity(10);
  *pool.add_season_lengths() = ToProto(absl::Hours(24));
  v1::SimulateRequest request;
  for (int i = 0; i < variants; ++i) request.add_variants()->set_service_level(0.9 + 0.01 * i);
  simulation::DemandSeries series{
      .begin = absl::FromUnixSeconds(1'700'006'400), .step = absl::Minutes(5), .values = {}};
  for (int i = 0; i < days * 288; ++i) series.values.push_back(60 + 50 * std::sin(i * 0.0218));
  auto replay = simulation::CompileSimulation(request, pool, std::move(series));
  REQUIRE(replay.ok());
  return *std::move(replay);
}

TEST_CASE("variants come out in order and alike, on however many threads they run") {
  const simulation::CompiledReplay replay = SomeReplay(3, 3);
  const auto spread = RunVariants(replay, [] { return false; });
  REQUIRE(spread.ok());
  REQUIRE(spread->size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    simulation::CompiledReplay one = replay;
    one.variants = {replay.variants[i]};
    const auto alone = RunVariants(one, [] { return false; });
    REQUIRE(alone.ok());
    CHECK(alone->front().decisions == (*spread)[i].decisions);
    CHECK(ScoreOf(alone->front().tallies, replay.series.step).idle_instance_hours ==
          ScoreOf((*spread)[i].tallies, replay.series.step).idle_instance_hours);
  }
  CHECK(absl::IsCancelled(RunVariants(replay, [] { return true; }).status()));
}

// Keeps `worker` busy until it is destroyed.
class Busy {
 public:
  explicit Busy(SimulationWorker& worker) {
    REQUIRE(worker
                .Post("busy",
                      [this] {
                        begun_.set_value();
                        go_on_.get_future().wait();
                        ended_.set_value();
                      })
                .ok());
    begun_.get_future().wait();
  }
  void End() { go_on_.set_value(); }
  ~Busy() { ended_.get_future().wait(); }

 private:
  std::promise<void> begun_;
  std::promise<void> go_on_;
  std::promise<void> ended_;
};

TEST_CASE("few simulations wait, the next is refused, and a shutdown ends them") {
  SimulationWorker worker;
  Busy busy(worker);
  int ended = 0;
  for (size_t i = 0; i < SimulationWorker::kWaitingMax; ++i) {
    CHECK(worker.Post("user " + std::to_string(i), [&] { ended += worker.stopping(); }).ok());
  }
  const absl::Status full = worker.Post("user 1000", [] {});
  CHECK(absl::IsResourceExhausted(full));
  CHECK(full.message() == "16 simulations are waiting already; try again later");
  std::thread shutdown([&] { worker.Shutdown(); });
  while (!worker.stopping()) std::this_thread::yield();
  CHECK(absl::IsUnavailable(worker.Post("user 1000", [] {})));
  busy.End();
  shutdown.join();
  CHECK(ended == static_cast<int>(SimulationWorker::kWaitingMax));
}

TEST_CASE("a caller with many simulations keeps no other caller out, and they take turns") {
  std::string order;
  {
    SimulationWorker worker;
    Busy busy(worker);
    const auto post = [&](const std::string& caller) {
      return worker.Post(caller, [&order, caller] { order += caller + " "; });
    };
    for (size_t i = 0; i < SimulationWorker::kWaitingMaxOfCaller; ++i) REQUIRE(post("greedy").ok());
    const absl::Status more = post("greedy");
    CHECK(absl::IsResourceExhausted(more));
    CHECK(more.message() == "4 simulations of greedy are waiting already; try again later");
    REQUIRE(post("modest").ok());
    busy.End();
  }
  CHECK(order == "greedy modest greedy greedy greedy ");
}

}  // namespace
}  // namespace shadow
