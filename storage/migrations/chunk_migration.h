// From version 1 of metrics.db, where every sample was a row, to chunks.
#pragma once

#include "absl/status/status.h"
#include "storage/sqlite.h"

namespace shadow::storage {

// Within the migration's transaction: moves the rows of `samples` into `chunks`, but those at the
// end of each series that do not fill one. In memory at a time: less than one chunk per series.
absl::Status ChunkOldSamples(Connection& metrics);

}  // namespace shadow::storage
