// shadowctl pool adopt
#pragma once

#include "absl/status/status.h"
#include "client/session.h"

namespace shadow {

// Prints DNA and pool of a Deployment of the file as one YAML stream that `apply -f` takes, as
// Export does, and on stderr what to look at before. Calls no daemon and no cluster.
absl::Status AdoptPool(Session& session);

}  // namespace shadow
