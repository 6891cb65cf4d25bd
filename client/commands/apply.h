// shadowctl apply and diff.
#pragma once

#include "absl/status/status.h"
#include "client/session.h"

namespace shadow {

// Creates or updates the DNAs and pools of -f FILE. Where the daemon would refuse one of several
// documents nothing is changed: it checks them all first, each against what is there now and the
// DNAs of the file. --dry-run stops after that, and says
// field by field what would change, and which instances would be replaced.
absl::Status Apply(Session& session);

// The same of -f FILE without a change of anything. Differs() where something would change.
absl::Status Diff(Session& session);

}  // namespace shadow
