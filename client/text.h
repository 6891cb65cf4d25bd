// Text in and out: what may go to a terminal, and how people write durations, times and numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow {

bool IsValidUtf8(std::string_view text);

// One line that cannot steer a terminal: invalid UTF-8 becomes U+FFFD, tabs and line ends a space,
// other control characters (C0, DEL, C1) and bidirectional overrides a question mark.
std::string PrintableText(std::string_view bytes);

// Code points of valid UTF-8: the columns that it takes, but for wide and combining characters.
std::size_t DisplayColumns(std::string_view utf8);

// At most three decimals, no trailing zeros: 12.5, 1200, 0.333.
std::string NumberText(double number);

// The largest unit only, rounded down: 45s, 3m, 2h, 5d; below a second 250ms.
std::string ShortDuration(absl::Duration duration);

// All of it, as ParseDurationText takes it: 6.4s, 5m, 1h30m, 168h, 100ms, 0.
std::string DurationText(absl::Duration duration);

// The same to three digits or so, for people to read: 6.4s, 230ms, 12us.
std::string RoundedDuration(absl::Duration duration);

// The one of `known` that `word` is likely a slip of: at most a third of its letters differ, one at
// least. Empty: none is.
std::string Closest(const std::string& word, const std::vector<std::string>& known);

// "1 sample", "2 samples".
std::string CountText(std::int64_t count, const std::string& noun);

// 2026-05-01T09:30:00Z; fractions of a second are left out.
std::string TimeText(absl::Time time);

// "30s", "5m", "1h30m", "2d", "100ms", "0". kInvalidArgument: says what was wanted, without a
// field.
absl::StatusOr<absl::Duration> ParseDurationText(std::string_view text);

// ISO 8601 ("2026-05-01T09:30:00Z", an offset, a space for the T, no zone = UTC) or Unix seconds
// with an optional fraction; years 1 to 9999. kInvalidArgument: says what was wanted, without a
// field.
absl::StatusOr<absl::Time> ParseTimeText(std::string_view text);

// Of a text that ParseTimeText takes: it says no zone, and so is read in UTC.
bool LacksZone(std::string_view text);

// Of a pool's `time_zone`: unset is UTC too.
bool IsUtc(std::string_view time_zone);

// What is wrong with a time that lacks its zone in a pool of `time_zone`.
std::string ZoneWanted(std::string_view time_zone);

}  // namespace shadow
