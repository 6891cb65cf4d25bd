// Seconds of a time zone's wall clock.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace shadow {

// Not thread-safe: remembers the offset between two clock changes.
class WallClock {
 public:
  explicit WallClock(absl::TimeZone zone) : zone_(zone) {}

  // What the wall clock shows at `unix_seconds`, as seconds since it showed 1970-01-01 00:00.
  // Worked: in New York 2012-07-01 00:00 UTC is 20:00 of the day before: 4 h less.
  int64_t Seconds(int64_t unix_seconds);

 private:
  absl::TimeZone zone_;
  int64_t begin_ = 0;  // [begin_, end_): where offset_ holds.
  int64_t end_ = 0;
  int64_t offset_ = 0;
};

}  // namespace shadow
