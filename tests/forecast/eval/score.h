// How good forecasts of a set of traces are, beside those of the baselines.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/forecast/eval/baselines.h"
#include "tests/forecast/eval/trace_set.h"

namespace shadow::testing {

inline constexpr std::array kScoredQuantiles = {0.5, 0.8, 0.9, 0.95, 0.99};

// The pinball loss of one forecaster on one series, summed over tasks, steps and quantiles.
struct Loss {
  double all = 0;
  double near = 0;  // Of the first twelfth of each horizon.

  // `paths` are clipped at 0 and sorted within a row; steps whose value is missing do not count.
  void Add(Paths paths, std::span<const TimedValue> actual);
};

// One series, all of its tasks.
struct SeriesScore {
  std::string series;
  size_t tasks = 0;
  Loss own;
  Loss daily;      // Daily seasonal naive.
  Loss weekly;     // Weekly seasonal naive.
  Loss same_slot;  // Means of the slot.
  std::array<double, kScoredQuantiles.size()> covered =
      {};  // Share of values at most the quantile.
};

// Every series of `set`, on all cores, in their order.
absl::StatusOr<std::vector<SeriesScore>> ScoreSet(const std::vector<TraceTasks>& set, Fits fits);

// Over all series: losses relative to weekly seasonal naive, geometric means; coverage, means.
struct SetScore {
  double rel = 0;
  double near_rel = 0;
  std::array<double, kScoredQuantiles.size()> covered = {};
  // The highest loss relative to the best baseline, of the series with `tasks_min` tasks and more.
  double worst = 0;
  std::string worst_series;
};

SetScore ScoreOf(std::span<const SeriesScore> series, size_t tasks_min);

}  // namespace shadow::testing
