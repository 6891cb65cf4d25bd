#include "server/core/simulation/replay.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

namespace shadow::simulation {
namespace {

// Fewer than the daemon's: fits are most of what a replay takes, and a plan that calibrates itself
// hardly notices (forecast/need/README.md).
constexpr int kFitsPerSeason = 1;

// Demand of the step `index`; unset: no sample, or before the first step.
std::optional<double> DemandOf(const DemandSeries& series, size_t index) {
  if (index >= series.values.size() || std::isnan(series.values[index])) return std::nullopt;
  return series.values[index];
}

std::unique_ptr<Forecaster> ForecasterOf(const CompiledPool& pool, const ReplayOptions& options) {
  const Forecaster::Options forecaster{.step = pool.step,
                                       .season_lengths = pool.season_lengths,
                                       .time_zone = pool.time_zone,
                                       .events = pool.demand_events,
                                       .fits_per_season = kFitsPerSeason};
  return options.make_forecaster ? options.make_forecaster(forecaster) : MakeForecaster(forecaster);
}

// The replays in lockstep, as they share a forecast.
class Lockstep {
 public:
  Lockstep(std::span<const v1::Pool> specs, const DemandSeries& series,
           const ReplayOptions& options, const CompiledPool& pool)
      : specs_(specs), series_(series), options_(options), forecast_(ForecasterOf(pool, options)) {
    // Some steps that are decided on and not scored: the first instances take their time.
    const int run_in = 2 * LeadSteps(options.leads.provisioning, series.step) + 2;
    start_ = options.first_scored - std::min(options.first_scored, static_cast<size_t>(run_in));
  }

  absl::Status Run() {
    for (const v1::Pool& spec : specs_) {
      auto replay = PoolReplay::Open(spec, options_.leads, series_.TimeOf(start_), forecast_,
                                     options_.instances_max);
      if (!replay.ok()) return replay.status();
      replays_.push_back(*std::move(replay));
    }
    results_.resize(specs_.size());
    for (size_t t = 0; t < series_.values.size(); ++t) {
      if (options_.cancelled && options_.cancelled()) return absl::CancelledError("cancelled");
      if (t == start_) {
        for (const auto& replay : replays_) replay->Start();
      }
      const absl::Status stepped = t < start_ ? Learn(t) : Step(t);
      if (!stepped.ok()) return stepped;
    }
    Begin(series_.values.size());  // The end of the last step.
    for (size_t i = 0; i < replays_.size(); ++i) {
      results_[i].decisions = replays_[i]->decisions() - results_[i].decisions;
    }
    return absl::OkStatus();
  }

  std::vector<Replayed> TakeResults() { return std::move(results_); }

 private:
  absl::Status Learn(size_t t) {
    const std::optional<double> demand = DemandOf(series_, t);
    if (!demand.has_value()) return absl::OkStatus();
    for (const auto& replay : replays_) replay->Learn(series_.TimeOf(t), *demand);
    return absl::OkStatus();
  }

  void Begin(size_t t) {
    const auto last = t > start_ ? DemandOf(series_, t - 1) : std::nullopt;
    for (size_t i = 0; i < replays_.size(); ++i) {
      const int active = replays_[i]->Begin(series_.TimeOf(t), last);
      if (!results_[i].tallies.empty()) results_[i].tallies.back().active = active;
    }
  }

  absl::Status Step(size_t t) {
    Begin(t);
    for (size_t i = 0; i < replays_.size(); ++i) {
      // The count so far, until the end of the run.
      if (t == options_.first_scored) results_[i].decisions = replays_[i]->decisions();
      auto tally = replays_[i]->Decide();
      if (!tally.ok()) return tally.status();
      if (t < options_.first_scored) continue;
      if (const auto demand = DemandOf(series_, t); demand.has_value()) {
        const double capacity = specs_[i].instance_capacity();
        tally->need = NeedBeside(*demand, specs_[i].external_capacity(), capacity);
        tally->work = NeedBeside(*demand, 0, capacity);
      }
      results_[i].tallies.push_back(*tally);
    }
    return absl::OkStatus();
  }

  const std::span<const v1::Pool> specs_;
  const DemandSeries& series_;
  const ReplayOptions& options_;
  SharedForecast forecast_;
  size_t start_ = 0;  // The first step that is decided on.
  std::vector<std::unique_ptr<PoolReplay>> replays_;
  std::vector<Replayed> results_;
};

}  // namespace

int LeadSteps(absl::Duration lead, absl::Duration step) {
  return static_cast<int>(std::max<int64_t>(1, absl::Ceil(lead, step) / step));
}

absl::StatusOr<std::vector<Replayed>> ReplayAll(std::span<const v1::Pool> specs,
                                                const DemandSeries& series,
                                                const ReplayOptions& options) {
  if (specs.empty()) return std::vector<Replayed>();
  const auto pool = CompilePool(specs.front());
  if (!pool.ok()) return pool.status();
  Lockstep lockstep(specs, series, options, *pool);
  const absl::Status ran = lockstep.Run();
  if (!ran.ok()) return ran;
  return lockstep.TakeResults();
}

}  // namespace shadow::simulation
