// The newsvendor on whole instances: values worked by hand, then what must hold for all.
#include "server/core/capacity/newsvendor.h"

#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "tests/server/core/capacity/demand.h"

namespace shadow::testing {
namespace {

constexpr int kAnyCount = kNeedMax;  // So many were wanted that nothing is a launch.

TEST_CASE("the cheapest count is as worked in the header") {
  const std::array<float, 3> mass = {.5F, .3F, .2F};
  const StepCosts costs(mass);
  struct Row {
    CapacityPrices prices;
    int wanted, cheapest;
  };
  const Row rows[] = {
      // Idle 0, .5, 1.3 and shortage 2 x (.7, .2, 0).
      {{.shortage = 2, .miss = 0, .launch = 0}, kAnyCount, 1},
      // And 3 x (.5, .2, 0) for the misses.
      {{.shortage = 2, .miss = 3, .launch = 0}, kAnyCount, 2},
      {{.shortage = 2, .miss = 3, .launch = 1}, 1, 1},
      // Both need two more than none: 2.9, 2.5, 3.3.
      {{.shortage = 2, .miss = 3, .launch = 1}, 0, 1},
      // The median (at most .5 lies above 0), and below it with less at stake.
      {{.shortage = 1, .miss = 0, .launch = 0}, kAnyCount, 0},
      {{.shortage = .5, .miss = 0, .launch = 0}, kAnyCount, 0},
      {{.shortage = 0, .miss = 1000, .launch = 0}, kAnyCount, 2},
      {{.shortage = 0, .miss = 0, .launch = 0}, kAnyCount, 0},
  };
  for (const Row& row : rows) CHECK(costs.Cheapest(row.prices, row.wanted) == row.cheapest);
}

TEST_CASE("between a low and a high need nothing is kept: it would cover neither") {
  std::vector<float> mass(21);
  mass[5] = .9F;
  mass[20] = .1F;
  const StepCosts costs(mass);
  // 15 idle instances for nine tenths of the time cost 13.5, as misses for one tenth at 135 do.
  CHECK(costs.Cheapest({.miss = 130}, kAnyCount) == 5);
  CHECK(costs.Cheapest({.miss = 140}, kAnyCount) == 20);
}

TEST_CASE("beyond 63 a count is the top of its cell: it covers all of it") {
  std::vector<float> mass(static_cast<size_t>(NeedScale::CellOf(1000)) + 1);
  mass[static_cast<size_t>(NeedScale::CellOf(70))] = 1;
  CHECK(StepCosts(mass).Cheapest({.shortage = 2}, kAnyCount) == 71);
}

TEST_CASE("more demand, a dearer shortage or a dearer miss never mean less") {
  const std::array<float, 6> shape = {.05F, .4F, .1F, .25F, .05F, .15F};
  int before = 0;
  for (size_t shift = 0; shift < 40; ++shift) {
    std::vector<float> mass(64);
    for (size_t i = 0; i < shape.size(); ++i) mass[i + shift] = shape[i];
    const StepCosts costs(mass);
    const int count = costs.Cheapest({.shortage = 2, .miss = 4}, kAnyCount);
    CHECK(count == before + (shift == 0 ? count : 1));
    before = count;
    int cheapest = 0;
    for (double price = 0.25; price < 1000; price *= 2) {
      const int by_miss = costs.Cheapest({.shortage = 1, .miss = price}, kAnyCount);
      CHECK(by_miss >= cheapest);
      cheapest = by_miss;
    }
    CHECK(costs.Cheapest({.shortage = 50}, kAnyCount) >=
          costs.Cheapest({.shortage = 2}, kAnyCount));
  }
}

TEST_CASE("from the count of a cheaper miss on, with no fewer there, the search finds the same") {
  for (int64_t trial = 0; trial < 200; ++trial) {
    std::vector<float> mass(70);
    float sum = 0;
    for (size_t i = 0; i < mass.size(); ++i) {
      const int64_t noise = Noise(trial * 100 + static_cast<int64_t>(i));
      mass[i] = noise < 800 ? 0.0F : static_cast<float>(noise);
      sum += mass[i];
    }
    for (float& share : mass) share /= sum;
    const StepCosts costs(mass);
    int lowest = 0;
    int wanted = 0;
    for (double price = 0.5; price < 1e5; price *= 1.5) {
      const CapacityPrices prices = {.shortage = 3, .miss = price, .launch = 1};
      const int cheapest = costs.Cheapest(prices, wanted);
      REQUIRE(costs.Cheapest(prices, wanted, lowest) == cheapest);
      lowest = cheapest;
      wanted += static_cast<int>(Noise(trial + wanted) % 4);
    }
  }
}

TEST_CASE("a launch that costs never makes more than there would be without its price") {
  const std::array<float, 5> mass = {.2F, .2F, .2F, .2F, .2F};
  const StepCosts costs(mass);
  for (int wanted = 0; wanted < 5; ++wanted) {
    const int free = costs.Cheapest({.shortage = 3, .miss = 2}, wanted);
    const int charged = costs.Cheapest({.shortage = 3, .miss = 2, .launch = 1}, wanted);
    CHECK(charged <= free);
    if (wanted >= free) CHECK(charged == free);
  }
}

}  // namespace
}  // namespace shadow::testing
