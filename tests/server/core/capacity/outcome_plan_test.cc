// The game's tool: what it reads, and that it does not look ahead.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/outcome/costs.h"
#include "tests/outcome/planning.h"
#include "tests/outcome/trace.h"
#include "tests/server/core/capacity/demand.h"

namespace shadow::testing {
namespace {

using outcome::Game;
using outcome::Trace;

Trace Made(int64_t steps) {
  Trace trace = {.timestamps = {}, .values = {}, .begin = TimeOf(0), .step = kStep};
  for (int64_t step = 0; step < steps; ++step) {
    const bool missing = Noise(step + 77) < 20;
    trace.values.push_back(missing ? std::numeric_limits<double>::quiet_NaN()
                                   : 10.0 * *DailyNeed(step) - 3);
  }
  return trace;
}

std::vector<std::vector<int>> PlansOf(const Trace& trace, const Game& game, size_t first) {
  const auto played = outcome::PlayTrace(trace, game, first);
  REQUIRE(played.status() == absl::OkStatus());
  std::vector<std::vector<int>> plans;
  for (const auto& policy : *played) plans.push_back(outcome::PlanOf(policy, first));
  return plans;
}

const Game kGame = {
    .lead = absl::Minutes(30), .instance_capacity = 10, .service_levels = {0.95, 0.99}};

TEST_CASE("a lead is rounded to steps, at least one") {
  CHECK(outcome::LeadSteps(absl::Minutes(10), absl::Minutes(5)) == 2);
  CHECK(outcome::LeadSteps(absl::Minutes(1), absl::Minutes(5)) == 1);
}

TEST_CASE("plans of a trace that is cut short say the same up to the cut") {
  const size_t first = 3 * kDay;
  const auto whole = PlansOf(Made(9 * kDay), kGame, first);
  REQUIRE(whole.size() == 2);
  for (const int64_t cut : {4 * kDay + 1, 6 * kDay + 50}) {
    const auto part = PlansOf(Made(cut), kGame, first);
    for (size_t i = 0; i < 2; ++i) {
      REQUIRE(part[i].size() == static_cast<size_t>(cut));
      CHECK(std::equal(part[i].begin(), part[i].end(), whole[i].begin()));
    }
  }
}

TEST_CASE("what was a target throughout the lead is ready, and not before") {
  const size_t lead = 2;
  const auto played = outcome::PlayTrace(Made(9 * kDay), kGame, 3 * kDay);
  REQUIRE(played.status() == absl::OkStatus());
  for (const auto& policy : *played) {
    const auto& tallies = policy.tallies;
    for (size_t step = lead; step < tallies.size(); ++step) {
      int ready = tallies[step].target;
      for (size_t ago = 1; ago <= lead; ++ago) {
        ready = std::min(ready, tallies[step - ago].target);
      }
      REQUIRE(tallies[step].ready == ready);
    }
  }
}

TEST_CASE("costs are those of idle and missing instances, and the best of what else there is") {
  const Trace trace = Made(8 * kDay);
  const size_t first = 4 * kDay;
  Game game = kGame;
  game.shortage_costs = {20, 1000};
  const auto played = outcome::PlayTrace(trace, game, first);
  REQUIRE(played->size() == 4);
  const auto costs = outcome::CostsOf(trace, game, first, *played);
  REQUIRE(costs.size() == 2);
  const auto cost = [&](size_t policy, double shortage_cost) {
    const auto score = simulation::ScoreOf((*played)[policy].tallies, kStep);
    return score.idle_instance_hours + shortage_cost * score.unserved_instance_hours;
  };
  CHECK(costs[0].by_costs == cost(2, 20));
  CHECK(costs[1].by_costs == cost(3, 1000));
  CHECK(costs[1].best_level == std::min(cost(0, 1000), cost(1, 1000)));
  CHECK(costs[0].best_fixed > costs[0].by_costs);
  CHECK(costs[0].best_fixed < costs[1].best_fixed);
}

TEST_CASE("what comes at a step does not change what is wanted at it") {
  Trace trace = Made(6 * kDay);
  const auto before = PlansOf(trace, kGame, 3 * kDay);
  const size_t changed = 5 * kDay;
  trace.values[changed] = 900;
  const auto after = PlansOf(trace, kGame, 3 * kDay);
  for (size_t step = 0; step <= changed; ++step) REQUIRE(after[0][step] == before[0][step]);
  CHECK(after[0][changed + 1] > before[0][changed + 1]);
}

}  // namespace
}  // namespace shadow::testing
