// The instance that a name means.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/session.h"

namespace shadow {

// The full name of `name`: full already, as tables show it (web/r1/i1), or the id after the pool
// (web/i1), which is looked up. Where no instance is there, one of the base is meant. Errors as
// ListInstances.
absl::StatusOr<std::string> ResolveInstance(Session& session, const std::string& name);

}  // namespace shadow
