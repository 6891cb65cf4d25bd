// Rises that only the forecast knows of: the plan goes by it, and is ready when they come.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/core/capacity/lead_window.h"
#include "server/core/capacity/pool_capacity.h"
#include "tests/server/core/capacity/demand.h"

namespace shadow::testing {
namespace {

constexpr int64_t kWeek = 7 * kDay;
constexpr int kLevels = 4;
constexpr double kServiceLevels[kLevels] = {0.95, 0.99, 0.995, 0.999};
constexpr double kForeseenInstance = 40;
const absl::Time kMonday = absl::UnixEpoch() + absl::Hours(24 * 4);  // Unix began on a Thursday.

// One forecaster, and a plan by each of the levels; a lead of one step.
struct ForeseenWorld {
  explicit ForeseenWorld(std::vector<Forecaster::Event> events = {})
      : forecaster(MakeForecaster({.step = kStep,
                                   .season_lengths = {absl::Hours(24), absl::Hours(168)},
                                   .events = std::move(events),
                                   .fits_per_season = 1})) {
    for (const double level : kServiceLevels) {
      plans.emplace_back(PoolCapacity::Options{.step = kStep,
                                               .day = absl::Hours(24),
                                               .base_capacity = 0,
                                               .instance_capacity = kForeseenInstance,
                                               .target = {.service_level = level}},
                         absl::Minutes(10));
      windows.emplace_back(1);
    }
  }

  // Steps up to `end`; `each` sees what is ready before the demand comes.
  void Play(int64_t end, const std::function<double(int64_t)>& need,
            const std::function<void(int64_t)>& each = {}) {
    for (; step < end; ++step) {
      for (size_t i = 0; i < plans.size(); ++i) {
        windows[i].Push(plans[i].plan().instances.value_or(1));
        if (step >= 2 * kWeek) {
          idle[i] += std::max(0, windows[i].want() - NeedOf(need(step))) / 4.0;
        }
      }
      if (each) each(step);
      const double demand = kForeseenInstance * need(step);
      const absl::Time time = kMonday + step * kStep;
      if (!forecaster->Update(time, demand).ok()) continue;
      for (PoolCapacity& plan : plans) {
        plan.Observe(time, demand, *forecaster);
        if (step == kDay) plan.Start();
      }
    }
  }

  std::unique_ptr<Forecaster> forecaster;
  std::vector<PoolCapacity> plans;
  std::vector<LeadWindow> windows;
  std::vector<double> idle = std::vector<double>(kLevels);  // Instance-hours from the third week.
  int64_t step = 0;
};

bool Opening(int64_t step) { return step % kWeek == 36; }  // Monday 09:00.

TEST_CASE("opening on Mondays is ready at every level from the third week on") {
  const auto need = [](int64_t step) {
    const bool open = step % kWeek < 5 * kDay && step % kDay >= 36 && step % kDay < 68;
    return open ? 9.7 : 0.5;
  };
  ForeseenWorld world;
  world.Play(8 * kWeek, need, [&](int64_t step) {
    if (step < 2 * kWeek || !(Opening(step) || Opening(step - 1))) return;
    for (size_t i = 0; i < kLevels; ++i) {
      INFO("level " << kServiceLevels[i] << ", week " << step / kWeek);
      CHECK(world.windows[i].ready() >= 10);
    }
  });
  // 30 days that open and close.
  for (size_t i = 0; i < kLevels; ++i) {
    INFO("level " << kServiceLevels[i] << ", idle hours " << world.idle[i]);
    CHECK(world.idle[i] < (i < 3 ? 200 : 400));
  }
}

TEST_CASE("a job that runs once a week is ready once the forecast has had it three times") {
  const auto need = [](int64_t step) {
    return step % kWeek >= 24 && step % kWeek < 28 ? 9.7 : 0.5;
  };
  ForeseenWorld world;
  double foreseen = 0;  // Instances, when what is launched for it must be known.
  int known = 0;        // Weeks in which it was.
  world.Play(8 * kWeek, need, [&](int64_t step) {
    if (step % kWeek == 23) {
      const auto rows = world.forecaster->Forecast(2, {0.5});
      foreseen = rows.ok() ? (*rows)[1][0] / kForeseenInstance : 0;
    }
    if (step % kWeek != 24 || foreseen < 5) return;
    if (++known <= 3) return;
    for (size_t i = 0; i < kLevels; ++i) {
      INFO("level " << kServiceLevels[i] << ", week " << step / kWeek << ", " << foreseen);
      CHECK(world.windows[i].ready() >= NeedOf(foreseen));
    }
  });
  CHECK(known >= 5);
}

TEST_CASE("a campaign that is announced is ready at its start, and gone after it") {
  const auto daily = [](int64_t step) {
    return 4 - 2 * std::cos(2 * M_PI * static_cast<double>(step % kDay) / kDay) +
           static_cast<double>(Noise(step)) / 1000;
  };
  constexpr int64_t kBegin = 2 * kWeek + 40;
  constexpr int64_t kEnd = kBegin + 8;
  ForeseenWorld world({{.start_time = kMonday + kBegin * kStep,
                        .end_time = kMonday + kEnd * kStep,
                        .multiplier = 5}});
  const auto need = [&](int64_t step) {
    return step >= kBegin && step < kEnd ? 5 * daily(step) : daily(step);
  };
  world.Play(kEnd + 12, need, [&](int64_t step) {
    for (size_t i = 0; i < kLevels; ++i) {
      INFO("level " << kServiceLevels[i] << ", step " << step - kBegin);
      if (step == kBegin) CHECK(world.windows[i].ready() >= NeedOf(need(step)) - 3);
      if (step == kBegin) CHECK(world.windows[i].ready() <= 2 * NeedOf(need(step)));
    }
  });
  for (size_t i = 0; i < 3; ++i) CHECK(world.windows[i].want() < 20);
}

}  // namespace
}  // namespace shadow::testing
