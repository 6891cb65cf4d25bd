// Probabilistic forecasts of one demand series.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow {

// Rows of one forecast, and steps from the last update to its end, at most: two seasons of the
// longest that a pool may have, and more.
inline constexpr int kForecastRowsMax = 2016;
inline constexpr int64_t kForecastReachMax = 4'000'000;

enum class ForecastTrust { kTrusted, kTooLittleData, kWorseThanNaive, kStale };

struct TrustVerdict {
  ForecastTrust trust = ForecastTrust::kTooLittleData;
  std::string reason;  // For people, with the numbers.
};

// The work of one fit, apart from its series: Run once, on any thread.
class FitWork {
 public:
  virtual ~FitWork() = default;
  virtual void Run() = 0;
};

// Not thread-safe: one owner at a time. No thread, clock, log or I/O inside.
class Forecaster {
 public:
  // Demand that the operator knows of: a holiday, a campaign, a test. Exactly one of both is set.
  struct Event {
    absl::Time start_time;  // Steps that begin in [start_time, end_time).
    absl::Time end_time;
    std::optional<double> multiplier = {};  // > 0: so many times what would have been without.
    std::optional<double> demand = {};      // >= 0: exactly this, in the pool's unit.
  };

  struct Options {
    absl::Duration step;                         // 1 s to 1 h.
    std::vector<absl::Duration> season_lengths;  // Shortest first, multiples of `step`.
    // Where the pool's users live: days of 24 h follow its wall clock and its weekdays.
    absl::TimeZone time_zone = absl::UTCTimeZone();
    std::vector<Event> events = {};  // The first one that holds a step counts.
    // Fits that are due in each shortest season, at least 1: what a fit costs against how soon what
    // is new is learned. Between fits profiles and levels follow each value all the same.
    int fits_per_season = 24;
    // Where in the time between two fits they are due, in [0, 1): spreads those of many series.
    double fit_phase = 0;
  };

  virtual ~Forecaster() = default;

  // The mean demand of the step that begins at `step_start` (a multiple of `step` since the Unix
  // epoch); `value` finite and not negative, or NaN: missing. Steps that are left out count as
  // missing. kInvalidArgument: not on the grid, or a negative or infinite value. kOutOfRange: not
  // after the last one.
  virtual absl::Status Update(absl::Time step_start, double value) = 0;

  // While it is set, what is updated is history that nobody decides by, and forecasts are read only
  // to learn how good they were: fits are due once in the shortest season. What is asked at the end
  // of such history goes by a fit of all of it, made within that call. Before the first call it is
  // not set; not saved.
  virtual void SetPast(bool /*past*/) {}

  // Quantile paths for the `steps` steps after the last update. One row per step; columns as
  // `quantiles` (in (0, 1), ascending); values not negative, and never falling within a row. Pool's
  // unit. kFailedPrecondition: no value was seen yet. kInvalidArgument: steps < 1 or > 2016, bad
  // quantiles.
  virtual absl::StatusOr<std::vector<std::vector<double>>> Forecast(
      int steps, const std::vector<double>& quantiles) const = 0;

  // Steps after the last update, further and coarser than Forecast: row r is for the steps from
  // first + r stride on, `stride` of them, and says what one step in their middle may be.
  struct Reach {
    int64_t first = 1;
    int64_t stride = 1;
    int rows = 1;

    int64_t Middle(int row) const { return first + row * stride + (stride - 1) / 2; }
    int64_t Last() const { return first + rows * stride - 1; }
  };

  // As Forecast. kInvalidArgument: no rows or more than kForecastRowsMax, or any of it beyond 1 to
  // kForecastReachMax.
  virtual absl::StatusOr<std::vector<std::vector<double>>> ForecastAt(
      const Reach& reach, const std::vector<double>& quantiles) const;

  virtual TrustVerdict Trust() const = 0;

  // Fits take milliseconds, and can be made on other threads while this goes on:
  //   auto work = forecaster.BeginFit(); work->Run(); forecaster.FinishFit(std::move(work));
  // A fit is due at fixed cells of the history, and counts from a fixed later one (Engine: the
  // next), which AwaitsFit tells. Whoever is late changes no forecast: what counts and is not made
  // is made by the next Forecast or Trust, within that call.

  // A fit is due, or lost by Restore, that was not begun.
  virtual bool FitDue() const { return false; }
  // Copies what the fit needs. Null: none is due.
  virtual std::unique_ptr<FitWork> BeginFit() { return nullptr; }
  // After Run. Dropped if it is not needed any more, or the series has begun anew since.
  virtual void FinishFit(std::unique_ptr<FitWork> /*work*/) {}
  // After an Update of `step`, Forecast and Trust would have to make a fit themselves. The last
  // step: they would now.
  virtual bool AwaitsFit(absl::Time /*step*/) const { return false; }

  // Makes what is due here and now. False: nothing was.
  bool Fit();

  // Start of the last step that Update was given; absl::InfinitePast() before the first.
  virtual absl::Time LastStep() const = 0;

  // Steps of history that hold a value.
  virtual int64_t SampleCount() const = 0;

  // Everything, as bytes that Restore of the same options understands.
  virtual std::string Save() const = 0;

  // kInvalidArgument: not from Save, or for other options; nothing is changed then.
  virtual absl::Status Restore(std::string_view saved) = 0;

  // The fits that are made, as bytes for RestoreFits after a Restore of what Save gave at the same
  // instant. They follow from what is saved, so whoever lacks them only makes them again: that
  // takes longer than all the rest of a restart.
  virtual std::string SaveFits() const { return ""; }
  // What is not from SaveFits, or of other fits than are due or count, is passed over.
  virtual void RestoreFits(std::string_view /*saved*/) {}
};

inline absl::StatusOr<std::vector<std::vector<double>>> Forecaster::ForecastAt(
    const Reach& reach, const std::vector<double>& quantiles) const {
  auto rows = Forecast(static_cast<int>(reach.Last()), quantiles);
  if (!rows.ok()) return rows.status();
  std::vector<std::vector<double>> taken;
  taken.reserve(rows->size());
  for (int row = 0; row < reach.rows; ++row) {
    taken.push_back(std::move((*rows)[static_cast<size_t>(reach.Middle(row) - 1)]));
  }
  return taken;
}

inline bool Forecaster::Fit() {
  bool made = false;
  while (std::unique_ptr<FitWork> work = BeginFit()) {
    work->Run();
    FinishFit(std::move(work));
    made = true;
  }
  return made;
}

// `options` must be valid: CompilePool checks them.
std::unique_ptr<Forecaster> MakeForecaster(const Forecaster::Options& options);

}  // namespace shadow
