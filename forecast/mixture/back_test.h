// What would have been forecast in the past: one row per origin and lead, with what was known then.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <vector>

#include "forecast/experts/profiles.h"
#include "forecast/mixture/buckets.h"
#include "forecast/shape.h"

namespace shadow {

inline constexpr int kFeatures = 16;
using FeatureRow = Eigen::Matrix<float, 1, kFeatures>;
using FeatureMatrix = Eigen::Matrix<float, Eigen::Dynamic, kFeatures, Eigen::RowMajor>;

// Columns of a feature row: 0 to 7 as LevelFeatures, then these. All but the deviations and the
// constant are relative to Latest::level, and so is what the rows are fitted to.
inline constexpr int kDeviationColumn = 8;  // To 11: deviations, fading over the lead.
inline constexpr int kSlowColumn = 12;
inline constexpr int kFastColumn = 13;
inline constexpr int kConstantColumn = 14;
inline constexpr int kUnusedColumn = 15;  // Always 0: rows of 16 floats are read fastest.

// Deviation i fades by half in 1/48, 1/6, 1 and 4 days.
std::array<float, Latest::kDeviations> Fading(float lead, int day);

// Yesterday, moved by what today was above it: unlike a deviation, that does not fade. `lead`: 1.3
// times as much more than a day ahead, where the day that is known is farther back. Worked:
// yesterday 5, Latest::moved 2: 7 up to a day ahead, then 7.6.
float MovedDay(const Levels& levels, const Latest& latest, int lead, int day);

// Fills columns 8 to 15. `constant`: the value of the constant column.
void ComposeRow(const Latest& latest, const std::array<float, Latest::kDeviations>& fading,
                float constant, Eigen::Ref<FeatureRow> row);

// Rows ordered by bucket, then origin, then lead; all vectors have one entry a row. Short leads (up
// to 3 h of 24) are looked at from five times as many origins as long ones. What is learned is used
// at the present time of day, so rows with an origin near it count up to seven times as much; and
// at the present level, so for losses and widths rows count up to 21 times as much the nearer
// the level at their origin was to it, in levels and in logarithms. While the level moves, the few
// rows alike are odd ones: so coefficients and median errors do not count rows by level.
// Source: locally weighted regression, W. S. Cleveland, JASA 74 (1979).
struct BackTest {
  int day = 1;
  int horizon = 1;                        // Longest lead.
  double days = 0;                        // That the targets span.
  std::array<int, kBuckets + 1> begin{};  // First row of each bucket.
  int folds = 1;
  std::vector<int> fold;    // 0 to folds - 1, never falling within a bucket.
  std::vector<int> lead;    // Cells.
  std::vector<int> target;  // Cell, counted from the window's first.
  std::vector<int> slot;    // Of the day.
  std::vector<int> type;    // Of the day.
  Eigen::VectorXf actual;
  Eigen::VectorXf level;  // Latest::level at the origin.
  Eigen::VectorXf log_level;
  Eigen::VectorXf nearest;     // Latest::nearest at the origin.
  Eigen::VectorXf moved;       // MovedDay.
  Eigen::VectorXf fit_weight;  // Of coefficients: halves every 0.4 window;
  // Of errors: every 0.25; by level, and by time of day up to a quarter day ahead.
  Eigen::VectorXf weight;
  Eigen::VectorXf plain_weight;   // Of losses over all leads: every 0.25; by level.
  Eigen::VectorXf centre_weight;  // Of median errors: as weight, but not by level.
  Eigen::VectorXf recent;         // Halves every day, by target.
  FeatureMatrix levels;
  FeatureMatrix logs;

  int rows() const { return static_cast<int>(lead.size()); }
  int rows(size_t bucket) const { return begin[bucket + 1] - begin[bucket]; }
};

// Pushes the cells [first, end) of `series` into `profiles`, and at origins on the way asks it for
// features. `end - first` must be more than 1.2 days. The constants are those of the two constant
// columns (back_test.cc).
struct BackTestInput {
  const Shape* shape;
  Series series;
  int64_t first = 0;
  int64_t end = 0;
  float constant = 0;
  float log_constant = 0;
};
BackTest RunBackTest(const BackTestInput& input, Profiles& profiles);

}  // namespace shadow
