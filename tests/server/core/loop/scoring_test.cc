// When pools in OBSERVE are scored, and what becomes of it, on a manual clock.
#include "server/core/loop/learning/scoring.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/server/core/loop_requests.h"

namespace shadow {
namespace {

struct Replay {
  absl::Time time;
  std::string pool;
};

// A world whose replays are noted, and come out as `status` says.
struct World {
  explicit World(absl::Duration takes = absl::Seconds(1)) : simulation({.score_latency = takes}) {
    simulation.score = [this](const v1::Pool& pool) -> absl::StatusOr<v1::ObserveScore> {
      replays.push_back({simulation.now().wall, pool.name()});
      leads_known = pool.has_provisioning_lead() && pool.has_activation_lead();
      if (!status.ok()) return status;
      v1::ObserveScore score;
      score.set_scored_steps(2016);
      score.mutable_automatic()->set_hit_rate(0.9931);
      score.mutable_base_alone()->set_hit_rate(0.71);
      return score;
    };
    REQUIRE(simulation.Call(CreateDna()).ok());
  }

  void Add(const std::string& name, v1::Policy::Mode mode = v1::Policy::OBSERVE) {
    v1::CreatePoolRequest request = CreatePool(0, mode);
    request.mutable_pool()->set_name("pools/" + name);
    request.mutable_pool()->clear_balancer();
    REQUIRE(simulation.Call(request).ok());
  }

  void SetMode(v1::Policy::Mode mode) {
    v1::UpdatePoolRequest request;
    *request.mutable_pool() = Web();
    request.mutable_pool()->mutable_policy()->set_mode(mode);
    REQUIRE(simulation.Call(request).ok());
  }

  const v1::Pool& Web() const { return simulation.world().pools.at("web").record.pool(); }

  // What readers see.
  v1::Pool ShownWeb() {
    return simulation.loop().TakeSnapshot()->pools.find("pools/web")->second->pool;
  }

  absl::Status status;
  bool leads_known = false;
  std::vector<Replay> replays;
  Simulation simulation;
};

TEST_CASE("a pool in OBSERVE is scored soon after it is there, and then once an hour") {
  World world;
  world.Add("web");
  const std::string etag = world.Web().etag();
  CHECK_FALSE(world.ShownWeb().has_observe_score());
  world.simulation.Run(kScoreDelay + absl::Seconds(2));
  REQUIRE(world.replays.size() == 1);
  CHECK(world.leads_known);
  const v1::ObserveScore score = world.ShownWeb().observe_score();
  CHECK(score.scored_steps() == 2016);
  CHECK(FromProto(score.score_time()) == world.replays[0].time);
  CHECK(world.Web().etag() == etag);  // Who has read the spec may still change it.
  const v1::Event& event = world.simulation.store().events().back();
  CHECK(event.message() ==
        "scored: AUTOMATIC would have met the need in 99.31% of the steps, the base alone in "
        "71.00%");
  CHECK(event.pool().observe_score().scored_steps() == 2016);

  world.simulation.Run(kScoreInterval - absl::Minutes(1));
  CHECK(world.replays.size() == 1);
  world.simulation.Run(absl::Minutes(2));
  REQUIRE(world.replays.size() == 2);
  CHECK(FromProto(world.Web().observe_score().score_time()) == world.replays[1].time);
}

TEST_CASE("the score goes with the mode, and comes back with it") {
  World world;
  world.Add("web", v1::Policy::AUTOMATIC);
  world.simulation.Run(absl::Hours(3));
  CHECK(world.replays.empty());
  world.SetMode(v1::Policy::OBSERVE);
  world.simulation.Run(absl::Minutes(1));
  CHECK(world.ShownWeb().observe_score().has_score_time());
  world.SetMode(v1::Policy::AUTOMATIC);
  CHECK_FALSE(world.ShownWeb().has_observe_score());
  world.simulation.Run(absl::Hours(3));
  CHECK(world.replays.size() == 1);
}

TEST_CASE("a score is of the present spec: a change drops it and what is under way") {
  World world(absl::Seconds(30));
  world.Add("web");
  world.simulation.Run(kScoreDelay + absl::Seconds(10));  // The replay is under way.
  v1::UpdatePoolRequest request;
  *request.mutable_pool() = world.Web();
  request.mutable_pool()->mutable_policy()->set_service_level(0.9);
  REQUIRE(world.simulation.Call(request).ok());
  world.simulation.Run(absl::Seconds(30));
  CHECK(world.replays.size() == 1);
  CHECK_FALSE(world.ShownWeb().has_observe_score());
  world.simulation.Run(absl::Minutes(5));
  CHECK(world.replays.size() == 2);
  CHECK(world.ShownWeb().observe_score().has_score_time());
}

TEST_CASE("pools take turns, and replays have a fifth of the time at most") {
  const absl::Duration takes = absl::Seconds(100);
  World world(takes);
  constexpr size_t kPools = 10;
  for (size_t i = 0; i < kPools; ++i) world.Add("p" + std::to_string(i));
  world.simulation.Run(absl::Hours(2));
  REQUIRE(world.replays.size() == 15);  // One each 500 s, so that a turn takes more than an hour.
  for (size_t i = 1; i < world.replays.size(); ++i) {
    CHECK(world.replays[i].time - world.replays[i - 1].time >= (kScoreRest + 1) * takes);
    if (i >= kPools) CHECK(world.replays[i].pool == world.replays[i - kPools].pool);
  }
}

TEST_CASE("too little history is said where the score would be, without an event") {
  World world;
  world.status = absl::FailedPreconditionError("pools/web has 3h of demand");
  world.Add("web");
  const size_t events = world.simulation.store().events().size();
  world.simulation.Run(kScoreDelay + absl::Minutes(2));
  CHECK(world.replays.size() == 2);
  CHECK(world.ShownWeb().observe_score().unscored_reason() ==
        "not enough history: pools/web has 3h of demand");
  CHECK_FALSE(world.ShownWeb().observe_score().has_score_time());
  for (size_t i = events; i < world.simulation.store().events().size(); ++i) {
    CHECK(world.simulation.store().events()[i].kind() != v1::Event::UPDATED);
  }
  world.status = absl::OkStatus();
  world.simulation.Run(kScoreRetry);
  CHECK(world.ShownWeb().observe_score().has_score_time());
  CHECK(world.ShownWeb().observe_score().unscored_reason().empty());

  world.status = absl::InternalError("it broke");
  world.simulation.Run(kScoreInterval + absl::Minutes(1));
  CHECK(world.ShownWeb().observe_score().unscored_reason() == "the replay failed: it broke");
  CHECK(world.ShownWeb().observe_score().has_score_time());  // The last one is shown on.
}

TEST_CASE("a replay that gave way is made a minute later") {
  World world;
  world.status = absl::CancelledError("");
  world.Add("web");
  world.simulation.Run(kScoreDelay + absl::Seconds(30));
  CHECK(world.replays.size() == 1);
  CHECK_FALSE(world.ShownWeb().has_observe_score());
  world.status = absl::OkStatus();
  world.simulation.Run(kScoreRetry);
  CHECK(world.replays.size() == 2);
  CHECK(world.ShownWeb().observe_score().has_score_time());
}

TEST_CASE("a restart keeps the score and its hour; a pool without one is scored soon") {
  World world;
  world.Add("web");
  world.simulation.Run(absl::Minutes(30));
  REQUIRE(world.replays.size() == 1);
  world.Add("other");
  world.simulation.KillAfter(world.simulation.inputs() + 1, Simulation::UnderWay::kNotDone);
  world.simulation.Run(absl::Minutes(1));
  REQUIRE(world.simulation.starts() == 2);
  CHECK(world.ShownWeb().observe_score().scored_steps() == 2016);
  REQUIRE(world.replays.size() == 2);
  CHECK(world.replays[1].pool == "pools/other");
  world.simulation.Run(absl::Minutes(30));
  REQUIRE(world.replays.size() == 3);
  CHECK(world.replays[2].pool == "pools/web");
}

TEST_CASE("a pool that is gone before its score is holds up no other") {
  World world(absl::Seconds(30));
  world.Add("web");
  world.Add("other");
  world.simulation.Run(kScoreDelay + absl::Seconds(1));
  v1::DeletePoolRequest request;
  request.set_name(world.simulation.world().scoring.spec->pool.name());
  REQUIRE(world.simulation.Call(request).ok());
  world.simulation.Run(absl::Minutes(10));
  REQUIRE(world.replays.size() == 2);
  CHECK(world.replays[1].pool != request.name());
}

}  // namespace
}  // namespace shadow
