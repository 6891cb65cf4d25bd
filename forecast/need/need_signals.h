// What the history of load says about the next steps: point guesses, and the situation that they
// are made in.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "forecast/need/load.h"
#include "forecast/saved_bytes.h"

namespace shadow {

// Who guesses. README.md in this folder has their formulas.
enum class NeedExpert : uint8_t {
  kLevel,
  kForecast,
  kForecastHigh,
  kYesterday,
  kYesterdayMoved,
  kHalfHour,
  kHourMoved,
  kSmoothed,
};
inline constexpr int kNeedExperts = 8;

// How many situations each expert tells apart.
inline constexpr std::array<int, kNeedExperts> kSituations = {18, 30, 18, 5, 5, 5, 5, 15};

// Tables of weights. Each tells its own situations ("gates") apart: yesterday's highest load over
// the coming steps against the last one, the rise that is forecast, volatility, the last need.
inline constexpr int kGateTables = 4;
inline constexpr std::array<int, kGateTables> kGates = {9, 9, 7, 10};

// What each expert takes the load to be at one step, quarters.
using NeedGuesses = std::array<int32_t, kNeedExperts>;

struct NeedSituation {
  std::array<uint8_t, kNeedExperts> of{};    // Below kSituations.
  std::array<uint8_t, kGateTables> gates{};  // Below kGates.
};

// Quantiles of load at horizon 0, 1, ..., in instances, as far as they are known.
struct LoadForecast {
  std::span<const double> median = {};
  std::span<const double> high = {};  // kHighQuantile.
};
inline constexpr double kHighQuantile = 0.9;

// A day of loads and a few running means, all in quarters. Same work for every step. Not
// thread-safe.
class NeedSignals {
 public:
  // `horizons`: what is guessed, in steps after the next one; ascending, from 0. `day_steps` >= 1.
  NeedSignals(std::vector<int> horizons, int day_steps);

  // The load of the next step, 0 to kQuartersMax.
  void Push(int load);

  // The next step's load is not known: it is taken to be the last one again.
  void PushMissing() { Push(last()); }

  // Guesses for each horizon. Where the median is unknown, yesterday's load stands in for it; where
  // the high quantile is, the median. At least one load was pushed.
  NeedSituation Guess(const LoadForecast& forecast, std::span<NeedGuesses> guesses);

  int64_t count() const { return count_; }  // Of steps.
  int last() const { return At(1); }        // 0 before the first.

  size_t StateBytes() const;
  void Save(SavedWriter& writer) const;
  // False: not from Save, or of other horizons or days; this is in no usable state then.
  bool Restore(SavedReader& reader);

 private:
  // The load `steps_back` steps before the next one; 1: the newest. Beyond the oldest kept: that.
  int At(int64_t steps_back) const;
  int Yesterday(int horizon) const;
  // What the forecast says, quarters.
  struct Outlook {
    double rise = 0;  // Of the corrected median, at its highest up to the lead, over the last load.
    double at_lead = 0;  // The corrected median.
    double spread = 0;   // There, from the median to the high quantile.
  };
  double Median(const LoadForecast& forecast, int horizon) const;
  NeedSituation Situation(const Outlook& outlook) const;

  std::vector<int> horizons_;
  int day_steps_;
  int stride_;                   // Steps that share an entry of day_.
  std::vector<int32_t> recent_;  // Ring by step.
  std::vector<int32_t> day_;     // Ring by `stride_` steps: the highest of them.
  int64_t count_ = 0;
  double smoothed_ = 0;
  double volatility_ = 0;
  double next_forecast_ = 0;  // What the forecast had for the newest load.
};

}  // namespace shadow
