#include "tests/forecast/eval/score.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>
#include <utility>

namespace shadow::testing {
namespace {

constexpr size_t kNearPart = 12;

double Pinball(const std::vector<double>& row, double actual) {
  double sum = 0;
  for (size_t i = 0; i < kScoredQuantiles.size(); ++i) {
    const double error = actual - row[i];
    sum += std::max(kScoredQuantiles[i] * error, (kScoredQuantiles[i] - 1) * error);
  }
  return sum;
}

struct Covered {
  std::array<double, kScoredQuantiles.size()> counts = {};
  double steps = 0;

  void Add(const Paths& paths, std::span<const TimedValue> actual) {
    for (size_t step = 0; step < paths.size(); ++step) {
      if (std::isnan(actual[step].value)) continue;
      ++steps;
      for (size_t i = 0; i < counts.size(); ++i) {
        if (actual[step].value <= paths[step][i] + 1e-12) ++counts[i];
      }
    }
  }
};

absl::StatusOr<SeriesScore> ScoreSeries(const TraceTasks& tasks, Fits fits) {
  const std::vector<double> quantiles(kScoredQuantiles.begin(), kScoredQuantiles.end());
  SeriesScore score;
  score.series = tasks.task.series;
  score.tasks = tasks.origins.size();
  Covered covered;
  for (const size_t origin : tasks.origins) {
    const std::span<const TimedValue> trace(tasks.trace);
    const auto history = trace.subspan(origin - tasks.history, tasks.history);
    const auto actual = trace.subspan(origin, static_cast<size_t>(tasks.task.horizon));
    auto own = RunTask(tasks.task, {history.begin(), history.end()}, quantiles, fits);
    if (!own.ok()) return own.status();
    std::vector<double> values;
    for (const TimedValue& row : history) values.push_back(row.value);
    const BaselineInput input = {
        .history = values,
        .day = static_cast<size_t>(absl::Hours(24) / tasks.task.step),
        .horizon = actual.size(),
        .quantiles = kScoredQuantiles,
    };
    covered.Add(*own, actual);
    score.own.Add(*std::move(own), actual);
    score.daily.Add(SeasonalNaive(input, /*weekly=*/false), actual);
    score.weekly.Add(SeasonalNaive(input, /*weekly=*/true), actual);
    score.same_slot.Add(SameSlotMean(input), actual);
  }
  for (size_t i = 0; i < covered.counts.size(); ++i) {
    score.covered[i] = covered.counts[i] / std::max(1.0, covered.steps);
  }
  return score;
}

// A series whose demand is 0 throughout the near horizons costs nothing there, whoever forecasts
// it.
double Ratio(double own, double other) {
  constexpr double kNothing = 1e-12;
  return std::max(own, kNothing) / std::max(other, kNothing);
}

}  // namespace

void Loss::Add(Paths paths, std::span<const TimedValue> actual) {
  for (size_t step = 0; step < paths.size(); ++step) {
    if (std::isnan(actual[step].value)) continue;
    std::vector<double>& row = paths[step];
    for (double& value : row) value = std::max(value, 0.0);
    std::sort(row.begin(), row.end());
    const double loss = Pinball(row, actual[step].value);
    all += loss;
    if (step < std::max<size_t>(1, paths.size() / kNearPart)) near += loss;
  }
}

absl::StatusOr<std::vector<SeriesScore>> ScoreSet(const std::vector<TraceTasks>& set, Fits fits) {
  std::vector<SeriesScore> scores(set.size());
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  absl::Status status;
  const auto work = [&] {
    for (size_t i = next++; i < set.size(); i = next++) {
      auto score = ScoreSeries(set[i], fits);
      if (score.ok()) {
        scores[i] = *std::move(score);
        continue;
      }
      const std::lock_guard lock(mutex);
      status.Update(score.status());
    }
  };
  std::vector<std::jthread> workers(std::max(1U, std::thread::hardware_concurrency()));
  for (std::jthread& worker : workers) worker = std::jthread(work);
  workers.clear();  // Joins.
  if (!status.ok()) return status;
  return scores;
}

SetScore ScoreOf(std::span<const SeriesScore> series, size_t tasks_min) {
  SetScore score;
  const auto count = static_cast<double>(series.size());
  double logs = 0;
  double near_logs = 0;
  for (const SeriesScore& one : series) {
    logs += std::log(Ratio(one.own.all, one.weekly.all));
    near_logs += std::log(Ratio(one.own.near, one.weekly.near));
    for (size_t i = 0; i < score.covered.size(); ++i) score.covered[i] += one.covered[i] / count;
    const double best = std::min({one.daily.all, one.weekly.all, one.same_slot.all});
    const double worse = Ratio(one.own.all, best);
    if (one.tasks < tasks_min || worse <= score.worst) continue;
    score.worst = worse;
    score.worst_series = one.series;
  }
  score.rel = std::exp(logs / count);
  score.near_rel = std::exp(near_logs / count);
  return score;
}

}  // namespace shadow::testing
