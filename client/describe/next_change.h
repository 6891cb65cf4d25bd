// What is going to change at a pool, as far as it is planned.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/session.h"

namespace shadow {

struct PlannedAt {
  v1::Pool pool;
  std::vector<v1::ShadowPool> shadows;
};

// One line for each change that is under way or planned, the next first: instances on their way to
// their targets, the end of a hold, overrides and demand events that begin or end, and when the
// forecast passes what is ready. Empty: none is known. Weekly overrides are not among them.
std::string PlannedChanges(Session& session, const PlannedAt& planned);

}  // namespace shadow
