// Runs the daemon while this process holds its Lease.
#pragma once

#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "server/core/clock.h"
#include "shadow/v1/config.pb.h"

namespace shadow {

// Waits for the Lease, calls `run`, and releases the Lease. `may_act` is null where `lease` is
// unset; otherwise any thread may ask it, before each thing that is done to the world. Where the
// Lease is lost meanwhile, the process ends at once with exit status 75, so that what it has under
// way is cut off. OK: also if SIGTERM or SIGINT, which must be blocked, came first.
// kFailedPrecondition: nothing says where the API server is.
absl::Status RunUnderLease(const std::optional<v1::KubernetesLease>& lease, Clock& clock,
                           const std::function<absl::Status(std::function<bool()> may_act)>& run);

}  // namespace shadow
