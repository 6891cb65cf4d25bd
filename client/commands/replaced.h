// Which instances a change replaces.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/session.h"

namespace shadow {

// Lines such as "replaces 2 instances of pools/web: web/i1, web/r1/i2", one for each pool whose
// instances move to another DNA revision; empty: no instance does. Of an update from `before` to
// `after`, which may be the answer of a dry run. Errors as ListPools and ListInstances.
absl::StatusOr<std::string> ReplacedInstances(Session& session, const v1::Dna& before,
                                              const v1::Dna& after);
absl::StatusOr<std::string> ReplacedInstances(Session& session, const v1::Pool& before,
                                              const v1::Pool& after);

}  // namespace shadow
