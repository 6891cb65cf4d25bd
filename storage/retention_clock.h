// The time that retentions count back from.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/sqlite.h"

namespace shadow::storage {

// A wall clock can be wrong, at a boot or for a moment, and a removal cannot be undone. So this
// time is no later than the wall clock, and advances only by what passes on the monotonic clock of
// one boot. It goes back with the wall clock at once. What the wall clock is ahead of it beyond
// that (the machine was off or asleep, or somebody set the clock) counts once it was ahead for
// kAheadUntilBelieved of running time without a break, and then by the least that it was ahead.
// Worked: off for 40 days; a week after the boot the time jumps forward by 40 days.
struct RetentionTime {
  absl::Time time;
  std::string boot_id;       // Of the last look; empty: not known.
  absl::Duration mono;       // Of the last look.
  absl::Duration ahead;      // The least that the wall clock was ahead of `time`; zero: it is not.
  absl::Duration ahead_for;  // Running time since it is.

  bool operator==(const RetentionTime&) const = default;
};

inline constexpr absl::Duration kAheadUntilBelieved = absl::Hours(24 * 7);

struct ClockLook {
  absl::Time wall;
  absl::Duration mono;
  std::string boot_id;  // Empty: not known, so nothing is known to have passed.
};

RetentionTime Advance(const RetentionTime& last, const ClockLook& now);

// What state.db keeps of it. A store of an older version has the time of its newest event. Unset:
// it holds nothing yet, and the first look is believed.
absl::StatusOr<std::optional<RetentionTime>> LoadRetentionTime(Connection& state);
absl::Status SaveRetentionTime(Connection& state, const RetentionTime& time);

}  // namespace shadow::storage
