// The predictive distribution: what it must be, and what it must not do.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "forecast/need/need_distribution.h"

namespace shadow::testing {
namespace {

constexpr int kDay = 96;

NeedDistribution Made(int lead_steps) {
  return NeedDistribution({.lead_steps = lead_steps, .day_steps = kDay});
}

// Low at night, high by day, with a wobble that does not repeat daily.
int DailyNeed(int step) {
  const double phase = 2 * M_PI * (step % kDay) / kDay;
  return static_cast<int>(20 - 12 * std::cos(phase)) + step % 7 % 3;
}

double Sum(std::span<const float> mass) { return std::accumulate(mass.begin(), mass.end(), 0.0); }

TEST_CASE("there is a distribution after a day, and it sums to 1 at every horizon") {
  NeedDistribution need = Made(3);
  CHECK(need.horizons() == std::vector<int>{0, 1, 2, 3});
  for (int step = 0; step < 3 * kDay; ++step) {
    need.Observe(DailyNeed(step), {});
    REQUIRE(need.ready() == (step + 1 >= kDay));
    if (!need.ready()) continue;
    for (size_t i = 0; i < 4; ++i) REQUIRE(Sum(need.Mass(i)) == Approx(1).margin(1e-4));
  }
}

TEST_CASE("a need that never changes is what is expected") {
  NeedDistribution need = Made(2);
  for (int step = 0; step < 10 * kDay; ++step) need.Observe(5, {});
  for (size_t i = 0; i < 3; ++i) CHECK(need.Mass(i)[5] > 0.99);
}

TEST_CASE("how full the last instance is tells whether the next step takes one more") {
  NeedDistribution quarters = Made(1);
  NeedDistribution whole = Made(1);
  double load = 8;
  unsigned random = 1;
  // Up or down by half an instance, between 4 and 12, until it is 8.5: both then take 9.
  for (int step = 0; step < 20 * kDay || load != 8.5; ++step) {
    random = random * 1664525 + 1013904223;
    load += (random >> 16) % 2 == 0 ? 0.5 : -0.5;
    load = std::clamp(load, 4.0, 12.0);
    quarters.Observe(load, {});
    whole.Observe(std::ceil(load), {});
  }
  CHECK(quarters.Mass(0)[10] < 0.05F);  // 9 comes, or 8.
  CHECK(whole.Mass(0)[10] > 0.1F);      // It may have been 9, and 9.5 comes.
}

TEST_CASE("a jump that comes every day is foreseen") {
  NeedDistribution need = Made(2);
  const auto at = [](int step) { return step % kDay >= 48 && step % kDay < 60 ? 20 : 4; };
  const int before = 12 * kDay + 48;  // The next step is the first high one.
  for (int step = 0; step < before; ++step) need.Observe(at(step), {});
  CHECK(need.Mass(0)[20] > 0.6);
}

TEST_CASE("long leads are told apart at five horizons, the first and the last among them") {
  const NeedDistribution need = Made(60);
  CHECK(need.horizons().size() == 5);
  CHECK(need.horizons().front() == 0);
  CHECK(need.horizons().back() == 60);
}

TEST_CASE("a forecast that is right moves the distribution to it") {
  NeedDistribution with = Made(1);
  NeedDistribution without = Made(1);
  // Levels that only the forecast knows of.
  const auto at = [](int step) { return step / 3 * 7919 % 23; };
  const int steps = 20 * kDay;
  for (int step = 0; step < steps; ++step) {
    const std::vector<double> median = {static_cast<double>(at(step + 1)),
                                        static_cast<double>(at(step + 2))};
    with.Observe(at(step), {.median = median});
    without.Observe(at(step), {});
  }
  const auto next = static_cast<size_t>(at(steps));
  CHECK(with.Mass(0)[next] > 0.8);
  CHECK(with.Mass(0)[next] > without.Mass(0)[next]);
}

TEST_CASE("a forecast of no number is as good as none") {
  NeedDistribution a = Made(1);
  NeedDistribution b = Made(1);
  const std::vector<double> none(2, std::numeric_limits<double>::quiet_NaN());
  for (int step = 0; step < 2 * kDay; ++step) {
    a.Observe(DailyNeed(step), {.median = none, .high = none});
    b.Observe(DailyNeed(step), {});
  }
  for (size_t cell = 0; cell < a.Mass(1).size(); ++cell) CHECK(a.Mass(1)[cell] == b.Mass(1)[cell]);
}

TEST_CASE("needs far beyond what was seen are taken, and have a probability from then on") {
  NeedDistribution need = Made(1);
  for (int step = 0; step < 2 * kDay; ++step) need.Observe(step % 3, {});
  need.Observe(250'000, {});  // Counts as kNeedMax.
  REQUIRE(need.ready());
  const auto cell = static_cast<size_t>(NeedScale::CellOf(kNeedMax));
  REQUIRE(need.Mass(0).size() > cell);
  CHECK(need.Mass(0)[cell] > 0);
  CHECK(Sum(need.Mass(0)) == Approx(1).margin(1e-3));
  for (int step = 0; step < kDay; ++step) need.Observe(step % 3, {});
  CHECK(need.Mass(0)[0] + need.Mass(0)[1] + need.Mass(0)[2] > 0.9F);
}

TEST_CASE("loads have quarters, and those of a need lie in one cell of needs") {
  struct Row {
    double load;
    int quarters, need;
  };
  const Row rows[] = {
      {0, 3, 0}, {1e-12, 3, 0},     {0.01, 4, 1}, {0.25, 4, 1}, {0.26, 5, 1},
      {1, 7, 1}, {1 + 1e-12, 7, 1}, {1.01, 8, 2}, {-3, 3, 0},   {1e9, kQuartersMax, kNeedMax}};
  for (const Row& row : rows) {
    CHECK(QuartersOf(row.load) == row.quarters);
    CHECK(NeedOf(row.load) == row.need);
  }
  CHECK(NeedOf(10.0 / 4) == 3);
  CHECK(NeedOf(0.3 / 0.1) == 3);  // Not 4 for a rounding of the last digit.
  for (int cell = 0; cell <= LoadScale::CellOf(kQuartersMax); ++cell) {
    REQUIRE(NeedScale::CellOf(LoadScale::Lowest(cell) / kQuartersPerInstance) ==
            NeedScale::CellOf(LoadScale::Highest(cell) / kQuartersPerInstance));
  }
}

TEST_CASE("missing steps teach nothing") {
  NeedDistribution missing = Made(2);
  NeedDistribution taught = Made(2);
  // 0 to 4, and what comes next has nothing to do with what was; the last is 4.
  const auto at = [](int step) { return step * step * 31 % 1009 % 5; };
  for (int step = 0; step < 5 * kDay; ++step) {
    const int need = step == 5 * kDay - 1 ? 4 : at(step);
    missing.Observe(need, {});
    taught.Observe(need, {});
  }
  for (int step = 0; step < 200; ++step) {
    missing.Observe(std::nullopt, {});
    taught.Observe(4, {});
  }
  CHECK(missing.Mass(0)[4] < 0.5F);
  CHECK(taught.Mass(0)[4] > 0.8F);
}

TEST_CASE("after skipped steps there is no distribution until the next need") {
  NeedDistribution need = Made(2);
  for (int step = 0; step < 2 * kDay; ++step) need.Observe(DailyNeed(step), {});
  need.Skip();
  CHECK_FALSE(need.ready());
  need.Observe(4, {});
  CHECK(need.ready());
}

TEST_CASE("a restored distribution goes on the same") {
  NeedDistribution need = Made(2);
  for (int step = 0; step < 3 * kDay + 5; ++step) need.Observe(DailyNeed(step) * 4, {});
  SavedWriter writer;
  need.Save(writer);
  const std::string saved = std::move(writer).Finish();
  NeedDistribution restored = Made(2);
  SavedReader reader(saved);
  REQUIRE(restored.Restore(reader));
  CHECK(reader.remaining() == 0);
  for (int step = 3 * kDay + 5; step < 4 * kDay; ++step) {
    need.Observe(DailyNeed(step), {});
    restored.Observe(DailyNeed(step), {});
    for (size_t i = 0; i < 3; ++i) {
      for (size_t cell = 0; cell < need.Mass(i).size(); ++cell) {
        REQUIRE(restored.Mass(i)[cell] == need.Mass(i)[cell]);
      }
    }
  }
}

TEST_CASE("weights move towards the expert that was right, as worked in the header") {
  ExpertWeights weights(1);
  ExpertWeights::Row likelihood;
  likelihood.fill(0.1F);
  likelihood[0] = 0.3F;
  // The first rate is 1/8; q of the first is 3/10, of the others 1/10.
  weights.Learn({}, 0, likelihood);
  CHECK(weights.Of({}, 0)[0] == Approx(0.125 + (0.3 - 0.125) / 8));
  CHECK(weights.Of({}, 0)[1] == Approx(0.125 + (0.1 - 0.125) / 8));
  // Three of the four tables are at a gate that has learnt nothing.
  CHECK(weights.Of({1, 0, 1, 1}, 0)[0] == Approx(0.125 + (0.3 - 0.125) / 8 / 4));
  CHECK(weights.Of({1, 1, 1, 1}, 0)[0] == Approx(0.125));
}

TEST_CASE("a rise that the forecast has been right on is believed, however rare it is") {
  // Every hundredth step 20, as only the forecast says. All else is 2, and any expert is right.
  const auto at = [](int step) { return step % 100 == 99 ? 20 : 2; };
  const auto play = [&](bool right) {
    NeedDistribution need = Made(1);
    const int begin = 20 * kDay / 100 * 100;
    for (int step = 0; step < begin + 99; ++step) {
      const std::vector<double> median = {1.0 * at(step + 1), 1.0 * at(step + 2)};
      need.Observe(right ? at(step) : 2, {.median = median});
    }
    return need.Mass(0)[20];
  };
  CHECK(play(true) > 0.7F);
  CHECK(play(false) < 0.2F);
}

TEST_CASE("where the high quantile is far off, more is expected") {
  NeedDistribution need = Made(1);
  unsigned random = 1;
  const auto next = [&] { return (random = random * 1664525 + 1013904223) >> 16; };
  // 4, or in one of three steps after which the high quantile is 16 any number up to that.
  const std::vector<double> median = {4, 4};
  const std::vector<double> low = {4, 4};
  const std::vector<double> high = {16, 16};
  bool wide = false;
  const auto step = [&](bool then) {
    need.Observe(wide && next() % 3 == 0 ? 4.0 + next() % 13 : 4.0,
                 {.median = median, .high = then ? high : low});
    wide = then;
  };
  for (int i = 0; i < 20 * kDay; ++i) step(next() % 2 == 0);
  const auto above = [&] { return 1 - Sum(need.Mass(0).first(7)); };
  step(true);
  const double wide_above = above();
  step(false);
  CHECK(wide_above > 0.15);
  CHECK(above() < wide_above / 2);
}

TEST_CASE("histograms are backed by the prior where nothing was seen, and forget") {
  ErrorHistograms histograms(1, 10, 63);
  ErrorHistograms::Density density;
  const ErrorHistograms::Place place = {.horizon = 0, .expert = 0, .situation = 4};
  const auto read = [&](int error) {
    histograms.Read(place, 31, density);
    return density.of_each[static_cast<size_t>(histograms.BinOf(error))];
  };
  CHECK(read(1) / read(0) == Approx(0.25));  // 1 / (1 + |error|)^2.
  histograms.Add(place, 2);
  const float fresh = read(2);
  CHECK(fresh > 1);
  for (int step = 0; step < 100; ++step) histograms.Fade();  // 10 days: the half-life.
  CHECK(read(2) == Approx(fresh / 2).epsilon(0.25));
}

TEST_CASE("likelihoods are normalised over the errors that can be") {
  ErrorHistograms histograms(1, 10, 63);
  const ErrorHistograms::Place place = {.horizon = 0, .expert = 0, .situation = 4};
  for (const int error : {-2, 0, 0, 1, 5, 40, 63}) histograms.Add(place, error);
  ErrorHistograms::Density density;
  for (const int guess : {0, 3, 9, 40, 63}) {
    histograms.Read(place, guess, density);
    double sum = 0;
    for (int load = 0; load <= 63; ++load) {
      sum += density.of_each[static_cast<size_t>(histograms.BinOf(load - guess))];
    }
    CHECK(sum == Approx(density.sum).epsilon(1e-4));
  }
}

}  // namespace
}  // namespace shadow::testing
