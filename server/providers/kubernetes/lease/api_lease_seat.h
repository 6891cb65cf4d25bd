// The Lease at the API server of a cluster.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "server/core/clock.h"
#include "server/providers/kubernetes/lease/lease_fence.h"
#include "shadow/v1/config.pb.h"

namespace shadow {

// `lease`: with its defaults filled in. kFailedPrecondition: it does not say where the API server
// is, and the daemon is no pod. `clock` must outlive what is returned.
absl::StatusOr<std::unique_ptr<LeaseSeat>> OpenLeaseSeat(const v1::KubernetesLease& lease,
                                                         Clock& clock);

// "HOSTNAME_0123456789abcdef", random: a pod that replaces one has the same name.
std::string NewLeaseIdentity();

}  // namespace shadow
