// The capacity planner: the asked service level, and what must never happen.
#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "tests/server/core/capacity/demand.h"

namespace shadow::testing {
namespace {

// Share of steps covered, and instances made a day, over `days` after 10 days of history.
struct Result {
  double hit = 0;
  double launches_a_day = 0;
  double mean_want = 0;
};
Result Play(CapacityPlanner& planner, int days, const NeedBy& need) {
  const int64_t begin = 10 * kDay;
  const int64_t end = begin + days * kDay;
  Feed(planner, 0, begin, need);
  planner.Start();
  int before = planner.Choice(0).want;
  int64_t hits = 0;
  int64_t launches = 0;
  int64_t wants = 0;
  Feed(planner, begin, end, need, [&](int64_t step) {
    hits += *need(step) <= planner.Ready(0) ? 1 : 0;
    const int want = planner.Choice(0).want;
    launches += std::max(0, want - before);
    wants += want;
    before = want;
  });
  const auto steps = static_cast<double>(end - begin);
  return {.hit = static_cast<double>(hits) / steps,
          .launches_a_day = static_cast<double>(launches) / days,
          .mean_want = static_cast<double>(wants) / steps};
}

TEST_CASE("the service level that was asked for is kept, and a higher one costs more") {
  double before = 0;
  for (const double level : {0.9, 0.95, 0.99}) {
    CapacityPlanner planner(OptionsFor({{.service_level = level}}));
    const Result result = Play(planner, 30, DailyNeed);
    CHECK(result.hit >= level - 0.005);
    CHECK(result.hit <= level + 0.03);
    CHECK(result.mean_want > before);
    before = result.mean_want;
  }
}

TEST_CASE("levels and costs that are asked for side by side are decided as each alone") {
  const std::vector<CapacityTarget> targets = {
      {.service_level = 0.95},
      {.idle_cost = 1, .shortage_cost = 300},
      {.service_level = 0.99},
      {.idle_cost = 1, .shortage_cost = 30},
  };
  CapacityPlanner all(OptionsFor(targets));
  Feed(all, 0, 5 * kDay, DailyNeed);
  all.Start();
  std::vector<CapacityPlanner> alone;
  for (const CapacityTarget& target : targets) {
    CapacityPlanner& planner = alone.emplace_back(OptionsFor({target}));
    Feed(planner, 0, 5 * kDay, DailyNeed);
    planner.Start();
  }
  for (int64_t step = 5 * kDay; step < 12 * kDay; ++step) {
    for (size_t i = 0; i < targets.size(); ++i) {
      REQUIRE(all.Choice(i).want == alone[i].Choice(0).want);
      REQUIRE(alone[i].Observe(TimeOf(step), DailyNeed(step), {}).ok());
    }
    REQUIRE(all.Choice(0).want <= all.Choice(2).want + 8);
    REQUIRE(all.Observe(TimeOf(step), DailyNeed(step), {}).ok());
  }
}

TEST_CASE("the first day follows the last need: half as much again, and 2") {
  CapacityPlanner planner(OptionsFor({{.service_level = 0.99}}));
  CHECK(planner.Choice(0).want == 0);
  Feed(planner, 0, 1, [](int64_t) { return 5; });
  CHECK(planner.Choice(0).want == 10);
  CHECK_FALSE(planner.Choice(0).predicted);
  Feed(planner, 1, kDay, [](int64_t) { return 5; });
  CHECK(planner.Choice(0).predicted);
}

TEST_CASE("more demand never means less ready") {
  CapacityPlanner low(OptionsFor({{.service_level = 0.95}}));
  CapacityPlanner high(OptionsFor({{.service_level = 0.95}}));
  const NeedBy twice = [](int64_t step) { return 2 * *DailyNeed(step); };
  Feed(low, 0, 8 * kDay, DailyNeed);
  Feed(high, 0, 8 * kDay, twice);
  for (int64_t step = 8 * kDay; step < 12 * kDay; ++step) {
    CHECK(high.Ready(0) >= low.Ready(0));
    Feed(low, step, step + 1, DailyNeed);
    Feed(high, step, step + 1, twice);
  }
}

TEST_CASE("a need above what was wanted raises it at once") {
  CapacityPlanner planner(OptionsFor({{.service_level = 0.99}}));
  Feed(planner, 0, 6 * kDay, DailyNeed);
  const int before = planner.Choice(0).want;
  Feed(planner, 6 * kDay, 6 * kDay + 1, [&](int64_t) { return before + 10; });
  CHECK(planner.Choice(0).want > before);
}

TEST_CASE("noise around a level makes no flapping") {
  const NeedBy noisy = [](int64_t step) { return 20 + static_cast<int>(Noise(step) / 200); };
  CapacityPlanner planner(OptionsFor({{.service_level = 0.99}}));
  const Result result = Play(planner, 10, noisy);
  CHECK(result.hit >= 0.985);
  // A fleet that follows the need launches as often as it rises.
  int64_t rises = 0;
  for (int64_t step = 10 * kDay; step < 20 * kDay; ++step) {
    rises += std::max(0, *noisy(step) - *noisy(step - 1));
  }
  CHECK(result.launches_a_day < static_cast<double>(rises) / 10 / 6);
}

TEST_CASE("missing data never scales in") {
  CapacityPlanner planner(OptionsFor({{.service_level = 0.95}, {.shortage_cost = 5}}));
  Feed(planner, 0, 6 * kDay + kDay / 2, DailyNeed);  // At the peak.
  for (int64_t step = 6 * kDay + kDay / 2; step < 7 * kDay; ++step) {
    const int level = planner.Choice(0).want;
    const int costs = planner.Choice(1).want;
    Feed(planner, step, step + 1, [](int64_t) { return std::nullopt; });
    REQUIRE(planner.Choice(0).want >= level);
    REQUIRE(planner.Choice(1).want >= costs);
  }
  const int held = planner.Choice(0).want;
  Feed(planner, 7 * kDay, 7 * kDay + 8, DailyNeed);  // Night, and known again.
  CHECK(planner.Choice(0).want < held);
}

TEST_CASE("steps that are left out count as missing, and hold what was wanted") {
  CapacityPlanner planner(OptionsFor({{.service_level = 0.95}}));
  Feed(planner, 0, 6 * kDay, DailyNeed);
  const int before = planner.Choice(0).want;
  const int64_t later = 6 * kDay + 3;
  REQUIRE(planner.Observe(TimeOf(later), std::nullopt, {}).ok());
  CHECK(planner.Choice(0).want >= before);
  CHECK(planner.need().steps() == later + 1);
  // A month without data is no month of work, and keeps the time of day.
  REQUIRE(planner.Observe(TimeOf(40 * kDay), 5, {}).ok());
  CHECK(planner.need().steps() < 9 * kDay);
  CHECK(planner.need().steps() % kDay == 1);
}

TEST_CASE("costs decide where no service level is asked for") {
  CapacityPlanner planner(OptionsFor({{.idle_cost = 2, .shortage_cost = 2},
                                      {.idle_cost = 2, .shortage_cost = 20},
                                      {.idle_cost = 2, .shortage_cost = 200}}));
  Feed(planner, 0, 10 * kDay, DailyNeed);
  int64_t sums[3] = {};
  Feed(planner, 10 * kDay, 12 * kDay, DailyNeed, [&](int64_t) {
    for (size_t i = 0; i < 3; ++i) sums[i] += planner.Choice(i).want;
  });
  CHECK(sums[0] < sums[1]);
  CHECK(sums[1] < sums[2]);
  CHECK(planner.Choice(0).miss_price == 0);
}

TEST_CASE("by costs it is about as cheap as the service level that hindsight would pick") {
  // Some steps in a thousand need up to 40 more, which nothing announces.
  const NeedBy need = [](int64_t step) {
    const int64_t rare = Noise(step + 1'000'000);
    return *DailyNeed(step) + (rare < 6 ? 5 + static_cast<int>(7 * rare) : 0);
  };
  for (const double shortage_cost : {5.0, 30.0, 100.0}) {
    CapacityPlanner planner(OptionsFor({{.idle_cost = 1, .shortage_cost = shortage_cost},
                                        {.service_level = 0.8},
                                        {.service_level = 0.9},
                                        {.service_level = 0.95},
                                        {.service_level = 0.98},
                                        {.service_level = 0.99},
                                        {.service_level = 0.995},
                                        {.service_level = 0.999}}));
    Feed(planner, 0, 10 * kDay, need);
    planner.Start();
    double costs[8] = {};
    Feed(planner, 10 * kDay, 60 * kDay, need, [&](int64_t step) {
      for (size_t i = 0; i < 8; ++i) {
        const int missing = std::max(0, *need(step) - planner.Ready(i));
        costs[i] += std::max(0, planner.Ready(i) - *need(step)) + planner.Choice(i).want -
                    planner.Ready(i) + shortage_cost * missing;
      }
    });
    INFO(shortage_cost);
    CHECK(costs[0] <= 1.1 * *std::min_element(costs + 1, costs + 8));
  }
}

TEST_CASE("a level that was missed too often is made up for, and the budget says so") {
  ServiceLevel level(0.99, kDay);
  CHECK(level.AllowedMissRate() == Approx(0.01));
  level.Count(true);  // History.
  CHECK(level.budget() == 0);
  level.Start();
  for (int i = 0; i < 15; ++i) level.Count(true);
  CHECK(level.budget() == Approx(-14.85).epsilon(0.01));
  CHECK(level.AllowedMissRate() < 0.0065);
  CHECK(level.AllowedMissRate() > 0.0033);
  for (int i = 0; i < 20'000; ++i) level.Count(false);
  CHECK(level.AllowedMissRate() > 0.01);
  CHECK(level.AllowedMissRate() <= 0.0201);  // Savings are spent slower than debts are paid.
}

TEST_CASE("what is wanted is ready after the lead, and gone at once") {
  LeadWindow window(2);
  window.Push(3);
  CHECK(window.ready() == 3);
  window.Push(7);
  window.Push(7);
  CHECK(window.ready() == 3);
  window.Push(8);
  CHECK(window.ready() == 7);
  window.Push(1);
  CHECK(window.ready() == 1);
}

TEST_CASE("steps off the grid, again or of no need are refused") {
  CapacityPlanner planner(OptionsFor({{.service_level = 0.9}}));
  REQUIRE(planner.Observe(TimeOf(5), 3, {}).ok());
  CHECK(absl::IsOutOfRange(planner.Observe(TimeOf(5), 3, {})));
  CHECK(absl::IsOutOfRange(planner.Observe(TimeOf(4), 3, {})));
  CHECK(absl::IsInvalidArgument(planner.Observe(TimeOf(6) + absl::Seconds(1), 3, {})));
  CHECK(absl::IsInvalidArgument(planner.Observe(TimeOf(6), -1, {})));
  CHECK(planner.last_step() == TimeOf(5));
}

TEST_CASE("a planner's state stays within its bounds at a peak of 40 instances") {
  struct Row {
    int lead_steps;
    size_t bytes;
  };
  for (const auto& [lead_steps, bytes] : {Row{1, 52'000}, Row{2, 52'000}, Row{60, 96'000}}) {
    CapacityPlanner planner(
        {.step = absl::Minutes(5), .lead_steps = lead_steps, .targets = {{.service_level = 0.99}}});
    for (int64_t step = 0; step < 3 * 288; ++step) {
      const auto need = static_cast<int>(Noise(step) * 41 / 1000);
      REQUIRE(planner.Observe(absl::UnixEpoch() + step * absl::Minutes(5), need, {}).ok());
    }
    CHECK(planner.StateBytes() <= bytes);
    CHECK(planner.Save().size() <= bytes);
  }
}

}  // namespace
}  // namespace shadow::testing
