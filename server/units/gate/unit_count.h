// How many units of shadowd the host's service manager has.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace shadow {

// Those of all stores, also ended ones that are kept: it has a file for each transient unit that it
// knows. `folder`: of these files; 0 if it is not there.
absl::StatusOr<int> CountUnits(const std::string& folder = "/run/systemd/transient");

}  // namespace shadow
