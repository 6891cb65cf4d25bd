// What a DNA means for a plain process: which of its fields can be enforced, and how.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/core/ports.h"
#include "server/providers/process_spawn.h"
#include "shadow/v1/dna.pb.h"

namespace shadow {

// OK if a plain process started by this daemon can be held to every field. kFailedPrecondition: a
// FieldError for the first that it cannot be:
// - a root directory other than "/", an image, a data set that is mounted elsewhere than at its
// source;
// - dynamic_user, protect_system, private_tmp, filters of system calls and address families,
//   cpu_weight, memory_high_bytes: what only a unit has;
// - cpu_millis (there is no such rlimit); tasks_max for uid 0, CAP_SYS_ADMIN or CAP_SYS_RESOURCE
// (RLIMIT_NPROC
//   does not bind them); any limit together with CAP_SYS_RESOURCE; one above the daemon's own hard
//   limit;
// - a user that does not exist or that the daemon may not become; capabilities that it may not give
// or take;
// - a read-only data set or path that the user can write (process_access.h). In particular what the
//   instance's user owns is writable, as an owner can chmod: let another user own it, or mount it
//   read-only;
// - connections of another user's processes, without CAP_SYS_PTRACE to see them.
absl::Status CheckEnforceable(const v1::Dna& dna);

// The plan to start `instance` on `port`; reads its secrets. kFailedPrecondition: a FieldError,
// also for a secret file that cannot be read (without its content). The plan's output_fd is left
// open. Environment: the DNA's, its secrets, PATH unless the DNA sets it, PORT, SHADOWD_POOL,
// SHADOWD_SHADOW, SHADOWD_INSTANCE and SHADOWD_STORE. "$(PORT)" is replaced in arguments and in the
// DNA's environment.
absl::StatusOr<SpawnSpec> PlanInstance(const InstanceSpec& instance, int port,
                                       const std::string& store_id);

// The plan of a verify command: as the instance's user, with its environment but no secret, no tag,
// no limits.
absl::StatusOr<SpawnSpec> PlanVerification(const v1::Dna& dna, const v1::Software& software,
                                           int port);

// RLIMIT_... of the limits that are set.
std::vector<SpawnSpec::Limit> LimitsOf(const v1::Resources& resources);

// On 127.0.0.1, as a server binds it: a port in TIME_WAIT is free. kResourceExhausted: no socket to
// find out with.
absl::StatusOr<bool> PortIsFree(int port);

}  // namespace shadow
