// Causal profiles of a series, one O(1) update a cell, and the features that experts combine.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "forecast/experts/day_types.h"
#include "forecast/experts/similar_days.h"
#include "forecast/series.h"

namespace shadow {

// Candidates for the level of one future cell, in units of the series' mean.
struct LevelFeatures {
  enum : size_t {
    kSmooth,
    kType,
    kWeek,
    kYesterday,
    kLastWeek,
    kTypeMedian,
    kWeekMedian,
    kSimilar
  };
  static constexpr size_t kCount = 8;
};
using Levels = std::array<float, LevelFeatures::kCount>;

// What is known of the latest cells, in levels or in their logarithms.
struct Latest {
  static constexpr size_t kDeviations = 4;
  float level = 0;                              // Half-life D cells; without spikes.
  float slow = 0;                               // 4 D; without spikes.
  float fast = 0;                               // D/48
  float nearest = 0;                            // D/96; the level expert.
  float moved = 0;                              // D/8; from the day before.
  std::array<float, kDeviations> deviations{};  // From the type's profile: 1/2 cell, D/24, D/5, D.
};

// Profiles move by P <- P + max(a, 1/k) clip(x - P), k the days that they have seen: per slot of
// the day (a = 0.35), per slot and type of day (0.30), per slot of the week (0.35); and medians of
// the last five days of a type and of four weeks. Slot of cell t: t mod D. Values of single days
// count up to 2.75 clips from the median of their type, and of levels up to 2.75 clips from what
// was expected: a spike goes on only so far. Single owner. Memory: 4 bytes x (5 D + 2 W) and some.
class Profiles {
 public:
  struct Setup {
    int day = 1;        // D, cells.
    int week = 0;       // W, cells; 0: none.
    int week_days = 0;  // Days of a week for similar days; 0: none.
    int64_t first = 0;  // The first cell that Push will see.
    DayTypes types;
    float level = 0;       // Start of the slow levels.
    float clip = 0;        // Greatest step of a profile.
    float log_offset = 0;  // Logarithms are of x + log_offset.
  };
  explicit Profiles(const Setup& setup);

  // Takes in cell `t` of `series`, which must be the one after the last.
  void Push(const Series& series, int64_t t);

  // Prepares features of the cells from `origin`, the one after the last cell pushed.
  void SetOrigin(int64_t origin);

  // Features of cell `t` >= origin; at least a day must have been pushed.
  Levels At(const Series& series, int64_t t);

  const Latest& latest() const { return latest_; }
  const Latest& latest_log() const { return latest_log_; }
  const Setup& setup() const { return setup_; }
  int64_t Bytes() const;

 private:
  struct Gains {
    float level, slow, fast, nearest, moved;
    std::array<float, Latest::kDeviations> deviations;
  };

  static Gains MakeGains(int day);

  // A cell, in levels or in logarithms.
  struct Seen {
    float value;
    float steady;     // The value, but not too far from what was expected.
    float deviation;  // From what was expected.
  };
  void Follow(Latest& latest, const Seen& seen, bool first) const;
  void PushType(const Series& series, int64_t t, float x);
  void PushWeek(const Series& series, int64_t t, float x);
  float Clip(float change) const;

  // Mean of `table` around `slot`, which it holds, weighted by a triangle of 1/64 day to either
  // side.
  float Smooth(const std::vector<float>& table, size_t slot) const;

  Setup setup_;
  Gains gains_;
  SimilarDays similar_;
  Latest latest_;
  Latest latest_log_;
  std::vector<float> day_;
  std::array<std::vector<float>, 2> type_;  // NaN: that type was not seen yet.
  std::array<std::vector<float>, 2> type_median_;
  std::vector<float> week_;
  std::vector<float> week_median_;
  std::array<std::vector<uint16_t>, 2> type_count_;
  int64_t origin_ = 0;
  int64_t lag_day_ = 0;             // What type_lags_ are for.
  std::array<int, 4> type_lags_{};  // Days back to the last days of the same type; 0: none.
};

}  // namespace shadow
