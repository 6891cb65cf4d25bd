// Load and need. Load is how many instances a demand would take if they could be divided; need is
// the whole ones, ceil(load). How full the last instance is says much of whether the next step
// takes one more, so guesses and their errors are in quarters of an instance.
#pragma once

#include <algorithm>
#include <cmath>

namespace shadow {

inline constexpr int kNeedMax = 100000;  // Instances; a greater need counts as this.
inline constexpr int kQuartersPerInstance = 4;
inline constexpr int kQuartersMax = kQuartersPerInstance * kNeedMax + kQuartersPerInstance - 1;

// Those of need n are 4n ... 4n + 3, the fuller the higher; without load 3. e.g. a load of 1 is 7,
// of 1.01 is 8. `load` is not NaN.
inline int QuartersOf(double load) {
  constexpr double kRounding = 1e-9;  // Instances that a division may be off by.
  const double quarters =
      std::ceil(kQuartersPerInstance * (load - kRounding)) + kQuartersPerInstance - 1;
  return static_cast<int>(std::clamp<double>(quarters, kQuartersPerInstance - 1, kQuartersMax));
}

// ceil(load), 0 to kNeedMax, but what a division is off by takes no instance. e.g. 0.3 / 0.1: 3.
inline int NeedOf(double load) { return QuartersOf(load) / kQuartersPerInstance; }

}  // namespace shadow
