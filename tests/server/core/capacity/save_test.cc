// Save and Restore of a planner: the same decisions as without a restart, and nothing foreign.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/server/core/capacity/demand.h"

namespace shadow::testing {
namespace {

const std::vector<CapacityTarget> kTargets = {{.service_level = 0.95},
                                              {.idle_cost = 1, .shortage_cost = 9}};

TEST_CASE("a restored planner decides the same, now and later") {
  for (const int64_t steps : {int64_t{0}, int64_t{1}, kDay / 2, 6 * kDay + 11}) {
    CapacityPlanner original(OptionsFor(kTargets));
    Feed(original, 0, steps, DailyNeed);
    original.Start();
    CapacityPlanner restored(OptionsFor(kTargets));
    REQUIRE(restored.Restore(original.Save()).ok());
    CHECK(restored.last_step() == original.last_step());
    CHECK(restored.Save() == original.Save());
    for (int64_t step = steps; step < steps + 3 * kDay; ++step) {
      for (size_t i = 0; i < kTargets.size(); ++i) {
        REQUIRE(restored.Choice(i).want == original.Choice(i).want);
        REQUIRE(restored.Choice(i).budget == original.Choice(i).budget);
        REQUIRE(restored.Choice(i).miss_rate == original.Choice(i).miss_rate);
        REQUIRE(restored.Ready(i) == original.Ready(i));
      }
      REQUIRE(original.Observe(TimeOf(step), DailyNeed(step), {}).ok());
      REQUIRE(restored.Observe(TimeOf(step), DailyNeed(step), {}).ok());
    }
    CHECK(restored.Save() == original.Save());
  }
}

TEST_CASE("what is not from Save is refused and changes nothing") {
  CapacityPlanner planner(OptionsFor(kTargets));
  Feed(planner, 0, 4 * kDay, DailyNeed);
  const std::string saved = planner.Save();
  std::vector<std::string> bad = {"", "x", std::string(100'000, '\xff'), saved + "x",
                                  saved.substr(0, saved.size() - 1)};
  for (size_t at = 1; at < saved.size(); at += saved.size() / 16) {
    bad.push_back(saved.substr(0, at));
    bad.push_back(saved);
    bad.back()[at] = static_cast<char>(bad.back()[at] ^ 1);
  }
  for (const std::string& bytes : bad) CHECK(absl::IsInvalidArgument(planner.Restore(bytes)));
  CHECK(planner.Save() == saved);
}

TEST_CASE("what was saved with other options is refused") {
  CapacityPlanner planner(OptionsFor(kTargets));
  Feed(planner, 0, 4 * kDay, DailyNeed);
  const std::string saved = planner.Save();
  CapacityPlanner other_lead(OptionsFor(kTargets, 3));
  CHECK(absl::IsInvalidArgument(other_lead.Restore(saved)));
  CapacityPlanner other_level(OptionsFor({{.service_level = 0.9}, kTargets[1]}));
  CHECK(absl::IsInvalidArgument(other_level.Restore(saved)));
  CapacityPlanner fewer(OptionsFor({kTargets[0]}));
  CHECK(absl::IsInvalidArgument(fewer.Restore(saved)));
  CapacityPlanner other_step({.step = absl::Minutes(5), .lead_steps = 2, .targets = kTargets});
  CHECK(absl::IsInvalidArgument(other_step.Restore(saved)));
}

}  // namespace
}  // namespace shadow::testing
