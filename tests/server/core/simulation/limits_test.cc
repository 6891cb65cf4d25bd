// What bound a replay, and by how much.
#include "server/core/simulation/limits.h"

#include <catch2/catch.hpp>

#include "server/core/simulation/alternatives.h"

namespace shadow::simulation {
namespace {

using B = v1::BindingLimit;

StepTally ReadyTally(int need, int target, int wanted, int ready) {
  StepTally tally;
  tally.need = need;
  tally.target = target;
  tally.wanted = wanted;
  tally.ready = ready;
  return tally;
}

ReplayLimits LimitsOf(size_t steps, int most) {
  const Bounds bounds{.min_instances = 0, .max_instances = most, .by = ""};
  return {.bounds = std::vector<Bounds>(steps, bounds), .host = {}, .creations_max = 2};
}

}  // namespace

TEST_CASE("a step that needs more than the policy allows is missed because of that") {
  const std::vector<StepTally> tallies = {ReadyTally(7, 7, 7, 7), ReadyTally(9, 7, 7, 7),
                                          ReadyTally(8, 7, 7, 4)};
  const std::vector<B> limits = BindingLimits(tallies, LimitsOf(3, 7));
  REQUIRE(limits.size() == 1);
  CHECK(limits[0].kind() == B::MAX_SHADOW_INSTANCES);
  CHECK(limits[0].missed_steps() == 2);
  CHECK(limits[0].value() == 7);
  CHECK(limits[0].sufficient() == 9);
  CHECK(limits[0].missing_instances() == 2);
  CHECK(limits[0].override().empty());
}

TEST_CASE("the lowest of several limits is the one that bound, by the override that set it") {
  const std::vector<StepTally> tallies = {ReadyTally(9, 7, 7, 7), ReadyTally(9, 5, 5, 5),
                                          ReadyTally(6, 5, 5, 5)};
  ReplayLimits limits = LimitsOf(3, 7);
  limits.host.balancer_slots = 6;
  limits.host.instances_left = 8;
  limits.bounds[1] = {.min_instances = 0, .max_instances = 5, .by = "night"};
  const std::vector<B> found = BindingLimits(tallies, limits);
  REQUIRE(found.size() == 2);  // The last one's need is within the limits.
  CHECK(found[0].kind() == B::MAX_SHADOW_INSTANCES);
  CHECK(found[0].override() == "night");
  CHECK(found[1].kind() == B::BALANCER_SLOTS);
  CHECK(found[1].value() == 6);
  CHECK(found[1].missing_instances() == 2);
}

TEST_CASE("what was decided on in time and waited for other creations is their limit's miss") {
  // Six are decided on at step 0 and two are begun at a time; a lead takes one step.
  const std::vector<StepTally> tallies = {ReadyTally(0, 6, 2, 0), ReadyTally(6, 6, 4, 2),
                                          ReadyTally(6, 6, 6, 4), ReadyTally(6, 6, 6, 6)};
  const std::vector<B> limits = BindingLimits(tallies, LimitsOf(4, 100));
  REQUIRE(limits.size() == 1);
  CHECK(limits[0].kind() == B::MAX_CONCURRENT_CREATIONS);
  CHECK(limits[0].missed_steps() == 2);
  CHECK(limits[0].value() == 2);
  CHECK(limits[0].missing_instances() == 4);
  CHECK(limits[0].sufficient() == 6);
}

TEST_CASE("what was decided on too late is the plan's own miss") {
  const std::vector<StepTally> tallies = {ReadyTally(0, 0, 0, 0), ReadyTally(2, 2, 2, 0),
                                          ReadyTally(2, 2, 2, 2)};
  CHECK(BindingLimits(tallies, LimitsOf(3, 100)).empty());
}

TEST_CASE("a fixed pool is refilled no faster than creations allow") {
  NeedSeries series{
      .needs = {}, .work = std::vector<int>(6, 0), .step = absl::Minutes(5), .most = {}};
  series.needs.assign(6, 0);
  const auto ready = [&](const std::vector<int>& wants) {
    std::vector<int> counts;
    for (const StepTally& tally : TalliesOf(series, wants)) counts.push_back(tally.ready);
    return counts;
  };
  CHECK(ready({1, 6, 6, 6, 6, 2}) == std::vector<int>{1, 1, 6, 6, 6, 2});
  series.creations_max = 2;
  CHECK(ready({1, 6, 6, 6, 6, 2}) == std::vector<int>{1, 1, 3, 5, 6, 2});
  series.lead_steps = 2;
  CHECK(ready({1, 6, 6, 6, 6, 6}) == std::vector<int>{1, 1, 1, 3, 3, 5});
}

}  // namespace shadow::simulation
