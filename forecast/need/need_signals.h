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
  kYesterday,
  kYesterdayMoved,
  kHalfHour,
  kHourMoved,
  kSmoothed,
  kMarginal,
};
inline constexpr int kNeedExperts = 8;

// How many situations each expert tells apart.
inline constexpr std::array<int, kNeedExperts> kSituations = {30, 7, 9, 9, 7, 7, 30, 1};

// Situations that the mixture tells apart: how yesterday's highest need over the coming steps
// compares with the need now.
inline constexpr int kGates = 9;

// What each expert takes the load to be at one step, quarters.
using NeedGuesses = std::array<int32_t, kNeedExperts>;

struct NeedSituation {
  std::array<uint8_t, kNeedExperts> of{};  // Below kSituations.
  uint8_t gate = 0;                        // Below kGates.
};

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

  // Guesses for each horizon. `median`: the forecast of load at horizon 0, 1, ..., in instances;
  // yesterday's load stands in for what it leaves out. At least one load was pushed.
  NeedSituation Guess(std::span<const double> median, std::span<NeedGuesses> guesses);

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
  NeedSituation Situation() const;

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
