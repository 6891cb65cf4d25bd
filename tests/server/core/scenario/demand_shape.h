// Demand that tests speak of by name: flat, a working day, a working week.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace shadow {

// Demand units; the clock is UTC's.
struct DemandShape {
  enum class Kind {
    kFlat,  // `low` all the time.
    kDay,   // `low` at night, `high` from 9 to 17 h, an hour's ramp before and after.
    kWeek,  // The same from Monday to Friday; `low` at weekends.
  };
  Kind kind = Kind::kFlat;
  double low = 0;
  double high = 0;
  double noise = 0;   // Up to so much more or less, evenly.
  double times = 1;   // The whole of it, so many times,
  double plus = 0;    // and so much more.
  uint64_t seed = 1;  // Of the noise, which is a function of it and the time.
};

// Evenly in [-1, 1): the same for the same time and seed (the mixer of SplitMix64).
inline double NoiseAt(absl::Time time, uint64_t seed) {
  uint64_t bits = static_cast<uint64_t>(absl::ToUnixSeconds(time)) + seed * 0x9e3779b97f4a7c15;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  bits ^= bits >> 31;
  return static_cast<double>(bits >> 11) * 0x1p-52 - 1;
}

// Never below 0. e.g. kDay from 60 to 240 is 150 at 8:30.
inline double DemandAt(const DemandShape& shape, absl::Time time) {
  const absl::CivilSecond civil = absl::ToCivilSecond(time, absl::UTCTimeZone());
  const double hour = civil.hour() + civil.minute() / 60.0;
  const absl::Weekday day = absl::GetWeekday(civil);
  const bool weekend = day == absl::Weekday::saturday || day == absl::Weekday::sunday;
  double share = 0;
  if (shape.kind != DemandShape::Kind::kFlat &&
      !(shape.kind == DemandShape::Kind::kWeek && weekend)) {
    share = std::clamp(std::min(hour - 8, 18 - hour), 0.0, 1.0);
  }
  const double plain = shape.low + (shape.high - shape.low) * share;
  return std::max(0.0, plain * shape.times + shape.plus + shape.noise * NoiseAt(time, shape.seed));
}

}  // namespace shadow
