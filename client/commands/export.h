// shadowctl export
#pragma once

#include "absl/status/status.h"
#include "client/session.h"

namespace shadow {

// Prints the specs of all DNAs, each in its newest revision, and of all pools as one YAML stream
// that `apply -f` takes (with -o json its documents are JSON). Says on stderr which pool is pinned
// to a revision that is not in it.
absl::Status Export(Session& session);

}  // namespace shadow
