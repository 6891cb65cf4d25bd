// Times as exports write them.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow {

struct ImportedTime {
  absl::Time time;
  // The same, unless the clocks were set back: then the second time at which they showed it.
  absl::Time later;
  bool zoneless = false;
  std::string form;  // "epoch seconds", "epoch milliseconds", "date and time"
};

// A count since 1970 by its size, in seconds, milliseconds, microseconds or nanoseconds; ISO 8601;
// "2026-05-01 09:30[:00]", also with "/"; "01.05.2026 09:30[:00]"; a date alone. Where it says no
// zone, it is in `zone`. kInvalidArgument: it is none of these, a time that `zone` skips, or
// "01/05/2026", which can be of January or of May.
absl::StatusOr<ImportedTime> ParseImportedTime(std::string_view text, absl::TimeZone zone);

}  // namespace shadow
