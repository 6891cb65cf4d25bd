// shadowctl backup.
#pragma once

#include "absl/status/status.h"
#include "client/session.h"

namespace shadow {

// Writes a backup of the daemon's store to the file that the command names: mode 0600, whole and
// durable, or not at all. A file that is there already is an error.
absl::Status Backup(Session& session);

}  // namespace shadow
