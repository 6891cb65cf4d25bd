#include "server/core/simulation/score.h"

#include <catch2/catch.hpp>
#include <vector>

#include "server/core/simulation/alternatives.h"

namespace shadow::simulation {
namespace {

StepTally Tally(std::optional<int> need, int wanted, int ready, int created = 0) {
  return {.need = need,
          .work = need.value_or(0),
          .wanted = wanted,
          .ready = ready,
          .active = 0,
          .created = created};
}

NeedSeries Series(std::vector<std::optional<int>> needs, int lead_steps) {
  NeedSeries series{.needs = needs,
                    .work = {},
                    .step = absl::Minutes(5),
                    .lead_steps = lead_steps,
                    .first_scored = 0,
                    .most = {}};
  for (const auto& need : needs) series.work.push_back(need.value_or(0));
  return series;
}

std::vector<int> Wanted(const std::vector<StepTally>& tallies) {
  std::vector<int> wanted;
  for (const StepTally& tally : tallies) wanted.push_back(tally.wanted);
  return wanted;
}

std::vector<int> ReadyOf(const std::vector<StepTally>& tallies) {
  std::vector<int> ready;
  for (const StepTally& tally : tallies) ready.push_back(tally.ready);
  return ready;
}

TEST_CASE("a score is what the steps say") {
  const Score score = ScoreOf(
      std::vector<StepTally>{Tally(2, 3, 2, 1), Tally(3, 3, 2), Tally(1, 3, 3, 1)}, absl::Hours(2));
  CHECK(score.steps == 3);
  CHECK(score.missed == 1);
  CHECK(score.hit_rate == Approx(2.0 / 3));
  CHECK(score.unserved_share == Approx(1.0 / 6));
  CHECK(score.idle_share == Approx(4.0 / 6));  // (0 + 1) + (0 + 1) + (2 + 0)
  CHECK(score.created_per_day == Approx(2 * 24 / 6.0));
  CHECK(score.idle_instance_hours == Approx(8));
  CHECK(score.unserved_instance_hours == Approx(2));
}

TEST_CASE("a step without a sample is not scored, what is created in it counts") {
  const Score score =
      ScoreOf(std::vector<StepTally>{Tally(1, 1, 1), Tally({}, 9, 0, 3)}, absl::Hours(12));
  CHECK(score.steps == 1);
  CHECK(score.hit_rate == 1);
  CHECK(score.idle_share == 0);
  CHECK(score.created_per_day == Approx(3));
  CHECK(ScoreOf({}, absl::Hours(1)).hit_rate == 1);
}

TEST_CASE("the base's share of the need is no instance's, and its work counts") {
  CHECK(NeedBeside(190, 80, 40) == 3);
  CHECK(NeedBeside(80, 80, 40) == 0);
  CHECK(NeedBeside(10, 80, 40) == 0);
  CHECK(NeedBeside(81, 80, 40) == 1);
  CHECK(NeedBeside(0.3, 0, 0.1) == 3);  // Not 4 by rounding.
  StepTally tally = Tally(1, 2, 2);
  tally.work = 4;
  CHECK(ScoreOf(std::vector<StepTally>{tally}, absl::Hours(1)).idle_share == Approx(0.25));
}

TEST_CASE("ready is what was wanted throughout the lead") {
  const NeedSeries series = Series({1, 1, 1, 1, 1}, 1);
  CHECK(ReadyOf(TalliesOf(series, std::vector<int>{1, 3, 3, 2, 2})) ==
        std::vector<int>{1, 1, 3, 2, 2});
  CHECK(ReadyOf(TalliesOf(Series({1, 1, 1, 1, 1}, 2), std::vector<int>{1, 3, 3, 3, 2})) ==
        std::vector<int>{1, 1, 1, 3, 2});
}

TEST_CASE("only the steps after the history are scored, with what was wanted before them") {
  NeedSeries series = Series({1, 1, 5, 5}, 1);
  series.first_scored = 2;
  const auto tallies = TalliesOf(series, std::vector<int>{1, 4, 5, 5});
  CHECK(ReadyOf(tallies) == std::vector<int>{4, 5});
  CHECK(tallies[0].created == 1);
}

TEST_CASE("alternatives want what the steps before tell") {
  const NeedSeries series = Series({2, 4, {}, 1, 1, 1}, 1);
  CHECK(LastNeeds(series) == std::vector<int>{0, 2, 4, 4, 1, 1});
  CHECK(Wanted(FixedPool(series, 3)) == std::vector<int>{3, 5, 7, 7, 4, 4});
  CHECK(Wanted(ColdStarts(series)) == std::vector<int>{0, 2, 4, 4, 1, 1});
  CHECK(Wanted(BaseOnly(series)) == std::vector<int>(6, 0));
  // One more at least; 4 x 1.5 = 6; for two steps the highest.
  CHECK(Wanted(TargetTracking(series, 1.5, absl::Minutes(10))) ==
        std::vector<int>{1, 3, 6, 6, 6, 2});
}

TEST_CASE("alternatives have no more than there may be") {
  NeedSeries series = Series({2, 6, 6, 1, 1}, 1);
  series.most = {5, 5, 5, 5, 1};
  const auto tallies = FixedPool(series, 1);
  CHECK(Wanted(tallies) == std::vector<int>{1, 3, 5, 5, 1});
  CHECK(ReadyOf(tallies) == std::vector<int>{1, 1, 3, 5, 1});
  CHECK(tallies[2].created == 2);
  CHECK_FALSE(SpareFor(series, 1).has_value());
}

TEST_CASE("the fixed pool that matches is the smallest one") {
  // Rises by 2 a step from 0, lead 1: with p spare ones ready(t) = last need(t-1) + p, so need
  // 2t <= 2(t - 2) + p from p = 4 on; in step 1 ready is p, in step 0 too.
  const NeedSeries series = Series({0, 2, 4, 6, 8}, 1);
  CHECK(SpareFor(series, 1) == std::optional<int>(4));
  CHECK(SpareFor(series, 0.4) == std::optional<int>(2));
  CHECK(SpareFor(series, 0.2) == std::optional<int>(0));
  CHECK_FALSE(SpareFor(Series({0, 5000}, 1), 1).has_value());
}

}  // namespace
}  // namespace shadow::simulation
