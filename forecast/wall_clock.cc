#include "forecast/wall_clock.h"

#include <limits>

namespace shadow {

int64_t WallClock::Seconds(int64_t unix_seconds) {
  if (unix_seconds < begin_ || unix_seconds >= end_) {
    const absl::Time time = absl::FromUnixSeconds(unix_seconds);
    offset_ = zone_.At(time).offset;
    begin_ = unix_seconds;
    end_ = std::numeric_limits<int64_t>::max();
    absl::TimeZone::CivilTransition change;
    if (zone_.NextTransition(time, &change)) {
      end_ = absl::ToUnixSeconds(zone_.At(change.to).trans);
    }
  }
  return unix_seconds + offset_;
}

}  // namespace shadow
