// shadowctl apply.
#pragma once

#include "absl/status/status.h"
#include "client/session.h"

namespace shadow {

// Creates or updates the DNAs and pools of -f FILE. Where the daemon would refuse one of several
// documents nothing is changed: it checks them all first, each against what is there now and the
// DNAs of the file. --dry-run stops after that.
absl::Status Apply(Session& session);

}  // namespace shadow
