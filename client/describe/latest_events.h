// The newest events, from a record that is listed from its oldest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/session.h"

namespace shadow {

// Which of the events below `name_prefix`; both bounds hold.
struct LatestWanted {
  std::string name_prefix;
  int count = 0;                    // At most so many; 0: no limit.
  std::optional<absl::Time> since;  // Only those from then on.
};

struct LatestEvents {
  v1::ListEventsResponse list;  // Oldest first.
  std::int64_t revision = 0;    // They are all up to it, and maybe some after it.
};

// Looks through the last revisions first, so that a long record is read as a whole only where few
// of its events are wanted. Errors as GetServerStatus and ListEvents.
absl::StatusOr<LatestEvents> ListLatestEvents(Session& session, const LatestWanted& wanted);

}  // namespace shadow
