// A pool's capacity plan: its grid, its memory, its lead, bursts, and restarts.
#include "server/core/capacity/pool_capacity.h"

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/server/core/capacity/demand.h"

namespace shadow::testing {
namespace {

constexpr double kBase = 100;
constexpr double kInstance = 50;

// 15-minute steps of a day; base 100, an instance carries 50; 99 %.
PoolCapacity::Options ByQuarter() {
  return {.step = kStep,
          .day = absl::Hours(24),
          .base_capacity = kBase,
          .instance_capacity = kInstance,
          .target = {.service_level = 0.99}};
}

double DemandOf(int64_t step) { return kBase + kInstance * *DailyNeed(step) - 1; }

// A pool with its forecaster, fed side by side as the control loop does it.
struct Fed {
  explicit Fed(const PoolCapacity::Options& by, absl::Duration lead = absl::Minutes(30))
      : options(by),
        forecaster(MakeForecaster({.step = by.step, .season_lengths = {by.day}})),
        capacity(by, lead) {}

  void Feed(int64_t begin, int64_t end, double (*demand)(int64_t) = DemandOf) {
    for (int64_t step = begin; step < end; ++step) {
      const absl::Time time = absl::UnixEpoch() + step * options.step;
      if (!forecaster->Update(time, demand(step)).ok()) continue;
      capacity.Observe(time, demand(step), *forecaster);
    }
  }

  PoolCapacity::Options options;
  std::unique_ptr<Forecaster> forecaster;
  PoolCapacity capacity;
};

// 10 instances from Monday 09:00 to 21:00, otherwise 1; and the noise of a quarter of one.
double OnMondays(int64_t step, int64_t hour_steps) {
  const int64_t hour = step / hour_steps % (7 * 24);
  const double need = hour >= 105 && hour < 117 ? 9.5 : 0.5;  // Unix began on a Thursday.
  return kBase + kInstance * (need + static_cast<double>(Noise(step)) / 4000);
}

}  // namespace

TEST_CASE("history teaches, but nothing is planned until it starts; then there is a plan at once") {
  Fed fed(ByQuarter());
  fed.Feed(0, 4 * kDay);
  CHECK_FALSE(fed.capacity.started());
  CHECK_FALSE(fed.capacity.plan().instances.has_value());
  fed.capacity.Start();
  REQUIRE(fed.capacity.plan().instances.has_value());
  CHECK(*fed.capacity.plan().instances >= 8);   // What the night takes, and
  CHECK(*fed.capacity.plan().instances <= 20);  // hardly what the day does.
  CHECK(fed.capacity.plan().why.budget == 0);   // History's misses are nobody's.
}

TEST_CASE("on the first day there is no plan") {
  Fed fed(ByQuarter());
  fed.capacity.Start();
  fed.Feed(0, kDay - 1);
  CHECK_FALSE(fed.capacity.plan().instances.has_value());
  fed.Feed(kDay - 1, kDay + 1);
  CHECK(fed.capacity.plan().instances.has_value());
}

TEST_CASE("need is beyond the base: what the base carries takes no instance") {
  Fed fed(ByQuarter());
  fed.Feed(0, 3 * kDay, [](int64_t) { return kBase; });
  fed.capacity.Start();
  CHECK(fed.capacity.plan().instances == 0);
}

TEST_CASE("how far demand is below the base says whether it will be beyond") {
  // Up and down again by a fifth of an instance a step, from 3 below the base to 2 beyond. It takes
  // 50 steps, so that yesterday does not tell.
  constexpr auto kDemand = [](int64_t step) {
    return kBase + kInstance * (2 - static_cast<double>(std::abs(step % 50 - 25)) / 5);
  };
  constexpr int64_t kRise = 10 * kDay / 50 * 50;  // 3 below the base.
  Fed fed(ByQuarter());
  fed.Feed(0, kRise, kDemand);
  fed.capacity.Start();
  fed.Feed(kRise, kRise + 6, kDemand);
  CHECK(fed.capacity.plan().instances == 0);  // 2 below, and a lead of two steps.
  fed.Feed(kRise + 6, kRise + 15, kDemand);
  CHECK(kDemand(kRise + 14) < kBase);
  CHECK(fed.capacity.plan().instances.value_or(0) >= 1);
}

TEST_CASE("seconds are planned in minutes, each with the highest of its seconds") {
  PoolCapacity::Options options = ByQuarter();
  options.step = absl::Seconds(1);
  Fed fed(options, absl::Seconds(90));
  CHECK(fed.capacity.lead_cells() == 2);  // Of 60 s: 1440 a day.
  fed.capacity.Start();
  // 450 for one second of each minute: 7 instances beyond the base. Some cells after the first day
  // the experts that guess it have the weight.
  fed.Feed(0, 86'400 + 30 * 60, [](int64_t step) { return step % 60 == 30 ? 450.0 : 80.0; });
  CHECK(fed.capacity.plan().instances == 7);
}

TEST_CASE("a rise of each week is planned a lead ahead where the week is the only season") {
  struct Grid {
    absl::Duration step;
    int64_t hour;  // Steps.
    double (*demand)(int64_t);
  };
  // Of 5 minutes a week has too many for cells of one: two are a cell.
  for (const Grid& grid :
       {Grid{absl::Hours(1), 1, [](int64_t step) { return OnMondays(step, 1); }},
        Grid{absl::Minutes(5), 12, [](int64_t step) { return OnMondays(step, 12); }}}) {
    INFO(absl::FormatDuration(grid.step));
    PoolCapacity::Options options = ByQuarter();
    options.step = grid.step;
    options.day = absl::Hours(7 * 24);
    Fed fed(options, absl::Hours(1));
    const int64_t week = 7 * 24 * grid.hour;
    fed.Feed(0, 5 * week, grid.demand);
    fed.capacity.Start();
    const int64_t quiet = 5 * week + 48 * grid.hour;
    fed.Feed(5 * week, quiet, grid.demand);
    CHECK(fed.capacity.plan().instances.value_or(10) <= 3);
    const int64_t launch = 5 * week + 104 * grid.hour;  // A lead before Monday 09:00.
    fed.Feed(quiet, launch, grid.demand);
    CHECK(grid.demand(launch - 1) < kBase + kInstance);
    CHECK(fed.capacity.plan().instances.value_or(0) >= 6);
  }
}

TEST_CASE("a longer lead counts at once, a shorter one when it has halved") {
  Fed fed(ByQuarter(), absl::Minutes(45));
  fed.Feed(0, 3 * kDay);
  fed.capacity.Start();
  CHECK(fed.capacity.lead_cells() == 3);
  CHECK_FALSE(fed.capacity.SetLead(absl::Minutes(45)));
  CHECK_FALSE(fed.capacity.SetLead(absl::Minutes(16)));  // 2 cells.
  CHECK(fed.capacity.lead_cells() == 3);
  CHECK(fed.capacity.SetLead(absl::Minutes(46)));
  CHECK(fed.capacity.lead_cells() == 4);
  CHECK(fed.capacity.plan().instances.has_value());  // From what is remembered.
  CHECK(fed.capacity.SetLead(absl::Minutes(30)));
  CHECK(fed.capacity.lead_cells() == 2);
}

TEST_CASE("a rise out of the band plans for the same rise again, for as long as the lead") {
  Fed fed(ByQuarter());
  fed.Feed(0, 6 * kDay);
  fed.capacity.Start();
  fed.Feed(6 * kDay, 6 * kDay + 1);
  const double before = DemandOf(6 * kDay);
  REQUIRE_FALSE(fed.capacity.plan().burst.has_value());
  // From 9 or so to 60 instances.
  fed.Feed(6 * kDay + 1, 6 * kDay + 2, [](int64_t) { return kBase + 60 * kInstance; });
  REQUIRE(fed.capacity.plan().burst.has_value());
  const int rise = 60 - static_cast<int>((before - kBase) / kInstance + 1);
  CHECK(*fed.capacity.plan().burst == 60 + rise);
  fed.Feed(6 * kDay + 2, 6 * kDay + 3);
  CHECK(fed.capacity.plan().burst.has_value());  // The lead is two steps.
  fed.Feed(6 * kDay + 3, 6 * kDay + 4);
  CHECK_FALSE(fed.capacity.plan().burst.has_value());
}

TEST_CASE("a lead that grows while a burst lasts keeps it") {
  Fed fed(ByQuarter());
  fed.Feed(0, 6 * kDay);
  fed.capacity.Start();
  fed.Feed(6 * kDay, 6 * kDay + 1);
  fed.Feed(6 * kDay + 1, 6 * kDay + 2, [](int64_t) { return kBase + 60 * kInstance; });
  const std::optional<int> burst = fed.capacity.plan().burst;
  REQUIRE(burst.has_value());
  REQUIRE(fed.capacity.SetLead(absl::Minutes(45)));
  CHECK(fed.capacity.plan().burst == burst);
}

TEST_CASE("the first instances are worth most, and those that are surely needed about 1") {
  Fed fed(ByQuarter());
  fed.Feed(0, 4 * kDay);
  fed.capacity.Start();
  const std::vector<double> worth = fed.capacity.Worth(60);
  REQUIRE(worth.size() == 60);
  CHECK(worth.front() > 0.95);
  CHECK(worth.back() < 0.05);
  for (size_t i = 1; i < worth.size(); ++i) CHECK(worth[i] <= worth[i - 1]);
}

TEST_CASE("restored, it plans as if it had never been away") {
  for (const int64_t steps : {kDay / 2, 3 * kDay + 17}) {
    Fed original(ByQuarter());
    original.Feed(0, steps);
    original.capacity.Start();
    original.Feed(steps, steps + 5);
    Fed restored(ByQuarter(), absl::Minutes(15));  // The lead is saved too.
    REQUIRE(restored.forecaster->Restore(original.forecaster->Save()).ok());
    REQUIRE(restored.capacity.Restore(original.capacity.Save()).ok());
    CHECK(restored.capacity.Worth(60) == original.capacity.Worth(60));
    for (int64_t step = steps + 5; step < steps + 2 * kDay; ++step) {
      INFO(step);
      REQUIRE(restored.capacity.plan().instances == original.capacity.plan().instances);
      REQUIRE(restored.capacity.plan().burst == original.capacity.plan().burst);
      REQUIRE(restored.capacity.plan().why.budget == original.capacity.plan().why.budget);
      original.Feed(step, step + 1);
      restored.Feed(step, step + 1);
    }
    CHECK(restored.capacity.Save() == original.capacity.Save());
  }
}

TEST_CASE("restored in the middle of history, it starts with the plan it would have had") {
  Fed original(ByQuarter());
  original.Feed(0, 3 * kDay + 17);
  Fed restored(ByQuarter());
  REQUIRE(restored.forecaster->Restore(original.forecaster->Save()).ok());
  REQUIRE(restored.capacity.Restore(original.capacity.Save()).ok());
  CHECK_FALSE(restored.capacity.started());
  CHECK_FALSE(restored.capacity.plan().instances.has_value());
  for (Fed* fed : {&original, &restored}) {
    fed->Feed(3 * kDay + 17, 4 * kDay);
    fed->capacity.Start();
    fed->Feed(4 * kDay, 4 * kDay + 10);
  }
  REQUIRE(original.capacity.plan().instances.has_value());
  CHECK(restored.capacity.plan().instances == original.capacity.plan().instances);
  CHECK(restored.capacity.Save() == original.capacity.Save());
}

TEST_CASE("a lead that changes in history counts from the start") {
  Fed fed(ByQuarter(), absl::Minutes(15));
  fed.Feed(0, 3 * kDay);
  CHECK_FALSE(fed.capacity.SetLead(absl::Minutes(30)));  // Nothing to save before it has started.
  CHECK(fed.capacity.lead_cells() == 2);
  fed.capacity.Start();
  CHECK(fed.capacity.plan().instances.has_value());
}

TEST_CASE("what an older version saved is refused") {
  SavedWriter writer;
  writer.U32(1);
  Fed fed(ByQuarter());
  CHECK(absl::IsInvalidArgument(fed.capacity.Restore(std::move(writer).Finish())));
}

TEST_CASE("another base or target begins again from the demand that it remembers") {
  Fed original(ByQuarter());
  original.Feed(0, 4 * kDay);
  original.capacity.Start();
  PoolCapacity::Options more = ByQuarter();
  more.base_capacity = 10'000;
  PoolCapacity covered(more, absl::Minutes(30));
  REQUIRE(covered.Restore(original.capacity.Save()).ok());
  CHECK(covered.plan().instances == 0);
  more = ByQuarter();
  more.target.service_level = 0.5;
  PoolCapacity careless(more, absl::Minutes(30));
  REQUIRE(careless.Restore(original.capacity.Save()).ok());
  CHECK(*careless.plan().instances <= *original.capacity.plan().instances);
}

TEST_CASE("what is not from Save, or of another grid, is refused and changes nothing") {
  Fed fed(ByQuarter());
  fed.Feed(0, 2 * kDay);
  fed.capacity.Start();
  const std::string saved = fed.capacity.Save();
  for (size_t size = 0; size < saved.size(); size += 97) {
    CHECK_FALSE(fed.capacity.Restore(saved.substr(0, size)).ok());
  }
  CHECK(fed.capacity.Save() == saved);
  PoolCapacity::Options other = ByQuarter();
  other.step = absl::Minutes(5);
  PoolCapacity fine(other, absl::Minutes(30));
  CHECK(absl::IsInvalidArgument(fine.Restore(saved)));
}

TEST_CASE("missing steps hold the plan, and an outage of a month leaves it sane") {
  Fed fed(ByQuarter());
  fed.Feed(0, 4 * kDay);
  fed.capacity.Start();
  fed.Feed(4 * kDay, 4 * kDay + 10);
  const auto before = fed.capacity.plan().instances;
  fed.Feed(34 * kDay, 34 * kDay + 1);
  CHECK(before.has_value());
  CHECK(fed.capacity.plan().instances.has_value());
  CHECK(*fed.capacity.plan().instances >= *DailyNeed(34 * kDay) - 2);
}

}  // namespace shadow::testing
