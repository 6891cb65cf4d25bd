#include "tests/outcome/planning.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <span>

#include "forecast/forecaster.h"
#include "server/core/capacity/capacity_planner.h"

namespace shadow::outcome {
namespace {

constexpr absl::Duration kForecastEvery = absl::Hours(1);

// The forecast's median in instances, made anew every hour and read in between.
class MedianPath {
 public:
  MedianPath(const Trace& trace, const Game& game)
      : game_(game),
        lead_steps_(LeadSteps(game.lead, trace.step)),
        every_(std::max(1, static_cast<int>(kForecastEvery / trace.step))),
        forecaster_(MakeForecaster(
            {.step = trace.step, .season_lengths = {absl::Hours(24), absl::Hours(24 * 7)}})) {}

  // The step at `time`, the `index`th, is over. From the step after it.
  std::span<const double> After(absl::Time time, size_t index, double value) {
    // A trace that the forecaster refuses is planned without it.
    if (!forecaster_->Update(time, value).ok()) return {};
    const size_t next = index + 1;
    const size_t age = next % static_cast<size_t>(every_);
    if (age == 0) Refresh();
    return path_.empty() ? std::span<const double>() : std::span(path_).subspan(age);
  }

 private:
  void Refresh() {
    path_.clear();
    const auto rows = forecaster_->Forecast(every_ + lead_steps_, {0.5});
    if (!rows.ok()) return;
    for (const auto& row : *rows) path_.push_back(row[0] / game_.instance_capacity);
  }

  const Game& game_;
  int lead_steps_;
  int every_;  // Steps.
  std::unique_ptr<Forecaster> forecaster_;
  std::vector<double> path_;
};

}  // namespace

int LeadSteps(absl::Duration lead, absl::Duration step) {
  return std::max(1, static_cast<int>(std::lround(absl::FDivDuration(lead, step))));
}

std::vector<std::vector<int>> PlanTrace(const Trace& trace, const Game& game, size_t first_step) {
  CapacityPlanner::Options options = {
      .step = trace.step, .lead_steps = LeadSteps(game.lead, trace.step), .targets = {}};
  for (const double level : game.service_levels) {
    options.targets.push_back({.service_level = level});
  }
  CapacityPlanner planner(options);
  MedianPath median(trace, game);
  std::vector<std::vector<int>> wants(options.targets.size());
  for (size_t step = 0; step < trace.values.size(); ++step) {
    if (step == first_step) planner.Start();
    for (size_t i = 0; i < wants.size(); ++i) wants[i].push_back(planner.Choice(i).want);
    const absl::Time time = trace.begin + trace.step * static_cast<int64_t>(step);
    const double value = trace.values[step];
    const std::span<const double> path = median.After(time, step, value);
    // Never refused: the steps are on a grid, and ascend.
    planner.Observe(time, NeedOf(value, game.instance_capacity), path).IgnoreError();
  }
  return wants;
}

}  // namespace shadow::outcome
