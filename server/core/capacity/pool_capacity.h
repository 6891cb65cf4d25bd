// What one pool's planner is to have ready: its capacity planner, kept to the pool's own grid, base
// and lead.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "forecast/forecaster.h"
#include "forecast/saved_bytes.h"
#include "server/core/capacity/capacity_planner.h"

namespace shadow {

// Load here is in instances beyond the base: (demand - base) / instance capacity, at least 0; need
// is the whole ones. How far a demand is below the base says how soon it will be beyond: up to
// kBelowMost instances of the base are planned as though they were the pool's, and always wanted.
// A planning step ("cell") is a step of the pool, or as many of them as make a day of at most
// kDayCellsMost; the demand of a cell is the highest of its steps. Not thread-safe; no thread,
// clock, log or I/O inside. The same calls give the same plans, whatever was saved and restored
// between.
class PoolCapacity {
 public:
  struct Options {
    absl::Duration step;           // The pool's, 1 s to 1 h.
    absl::Duration day;            // Its shortest season, a multiple of `step`.
    double base_capacity = 0;      // Demand units.
    double instance_capacity = 1;  // Demand units, > 0.
    double headroom = 1;           // There is always room for the last demand times this.
    CapacityTarget target;
  };
  static constexpr int kDayCellsMost = 1440;
  static constexpr int kBelowMost = 4;
  static constexpr int64_t kRememberedCells = 2016;  // A week of 5 minutes.

  struct Plan {
    std::optional<int> instances;  // Cheapest; launching ones too. Unset on the first day.
    CapacityChoice why;
    std::optional<int> burst;  // Need left its predicted band: what the same rise again would take.
  };

  // `lead`: from wanted to serving.
  PoolCapacity(const Options& options, absl::Duration lead);

  // The step that began at `step_start` is over; ascending. `forecaster` has been given it too.
  // Before Start it is history: it teaches, and nothing is planned.
  void Observe(absl::Time step_start, double demand, const Forecaster& forecaster);

  // From now on there is a plan, and misses count. Once.
  void Start();
  bool started() const { return started_; }

  // Plans by another lead from now on, in whole cells: at once by a longer one, by a shorter one
  // when it has halved; before Start by any. It begins again from what is remembered. True: it
  // did, and had started, so save it.
  bool SetLead(absl::Duration lead);

  const Plan& plan() const { return plan_; }
  int lead_cells() const { return lead_cells_; }

  // P(need > i) one lead ahead, for i = 0 ... `instances` - 1: what the next instance is worth, in
  // misses. Empty: not known.
  std::vector<double> Worth(int instances) const;

  size_t StateBytes() const;
  std::string Save() const;
  // What was saved by other options or another version begins again from the demand that it
  // remembers.
  // kInvalidArgument: not from Save, or on another grid; nothing is changed then.
  absl::Status Restore(std::string_view saved);

 private:
  int64_t CellOf(absl::Time time) const;
  absl::Time CellStart(int64_t cell) const;
  int CellsOf(absl::Duration lead) const;
  double LoadOf(double demand) const;  // With below_ of the base.
  size_t SlotOf(int64_t cell) const;   // In remembered_.
  std::unique_ptr<CapacityPlanner> MakePlanner() const;
  void Close(const Forecaster& forecaster);
  void Remember(int64_t cell, double demand);
  void BeginAgain();
  // Of load, from the cell `next` on, as far as the lead.
  struct Forecasts {
    std::vector<double> median;  // NaN: unknown.
    std::vector<double> high;
  };
  Forecasts ReadForecast(int64_t next, const Forecaster& forecaster) const;
  void Replan(int64_t cell, double demand, const LoadForecast& forecast);  // NaN: missing.
  void SetPlan();
  void SetBurst(int64_t cell);
  void NoteBurst(int64_t cell, int need);
  int BandHigh() const;  // Of the next cell; -1: not known.
  bool Read(SavedReader& reader);
  bool ReadPlanner(SavedReader& reader, bool same, int own_lead);

  Options options_;
  absl::Duration cell_length_;
  int lead_cells_;
  int below_;  // Instances of the base that are planned with the others.

  // The demand of the last cells, by cell modulo its size; NaN: missing.
  std::vector<float> remembered_;
  int64_t remembered_begin_ = 0;  // Cells in [begin, end).
  int64_t remembered_end_ = 0;

  int64_t open_cell_ = 0;
  std::optional<double> open_demand_;  // Of the open cell so far; unset: none is open.

  std::unique_ptr<CapacityPlanner> planner_;  // Null before the first cell.
  bool started_ = false;
  int last_need_ = 0;
  int band_high_ = -1;  // Need that the next cell hardly exceeds; -1: not known.
  int burst_need_ = 0;
  int64_t burst_until_ = 0;  // Cell.
  Plan plan_;
};

}  // namespace shadow
