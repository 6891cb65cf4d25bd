// From version 1 of state.db, where a pool named its provider by a text, to one where it says it by
// a message.
#pragma once

#include "absl/status/status.h"
#include "storage/sqlite.h"

namespace shadow::storage {

// Within the migration's transaction. There was one provider, `process`, which is what a pool that
// says nothing has: the old field is dropped from each.
absl::Status DropProviderNames(Connection& state);

}  // namespace shadow::storage
