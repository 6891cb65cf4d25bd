// The internal grid of one series: how many cells make a day and a week, how far a fit looks back.
#pragma once

#include <cstdint>

#include "forecast/forecaster.h"

namespace shadow {

// Seasons of more steps than this are learned on a coarser grid.
inline constexpr int kDayCellsMax = 300;
inline constexpr int kCoarseDayCells = 288;
inline constexpr int kWindowCellsMax = 8640;  // 30 days of 5 minutes.

// "Day" is the shortest season, "week" the longest one that is a multiple of it and of which three
// fit into the window. A cell is a step, or with more than 300 steps a day 1/288 of a day: seasons
// of 86,400 one-second steps are learned in cells of 5 minutes.
struct Shape {
  int64_t step_seconds = 1;
  int64_t day_seconds = 1;
  int day = 1;            // Cells.
  int week = 0;           // Cells; 0: no second season.
  int window = 1;         // Cells of history that a fit uses, at most.
  int refit = 1;          // Cells from one due fit to the next.
  int refit_phase = 0;    // Fits are due at multiples of `refit` plus this many cells.
  int fit_age_max = 2;    // Cells for which a fit counts at most; more than `refit` only over gaps.
  int horizon = 1;        // Cells ahead that the back-test looks.
  bool calendar = false;  // The day has 24 h: it follows wall clock and weekdays.
  bool coarse = false;    // A cell is more than a step.

  double cell_steps() const {
    return static_cast<double>(day_seconds) / static_cast<double>(step_seconds) / day;
  }

  // The cell that holds a second of the pool's wall clock, counted from 1970. Worked: days of
  // 86,400 s in 288 cells: second 601 lies in cell 2.
  int64_t Cell(int64_t wall_seconds) const;
};

// `options` must be valid.
Shape MakeShape(const Forecaster::Options& options);

}  // namespace shadow
