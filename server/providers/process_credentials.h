// Users and capabilities: who an instance runs as.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "shadow/v1/dna.pb.h"

namespace shadow {

// Sets of capabilities are bit masks, bit n = capability n of linux/capability.h.
using CapabilityMask = uint64_t;

std::optional<int> CapabilityNumber(std::string_view name);  // "CAP_NET_BIND_SERVICE" -> 10
std::set<std::string> CapabilityNames(CapabilityMask mask);  // Unknown bits as "CAP_<number>".

// Identity and privileges of a process, from /proc/PID/status.
struct ProcessPrivileges {
  uid_t real_uid = 0;  // Who started it, also of a set-uid program.
  uid_t uid = 0;       // Effective.
  gid_t gid = 0;
  std::vector<gid_t> groups;  // Supplementary.
  CapabilityMask permitted = 0;
  CapabilityMask effective = 0;
  CapabilityMask bounding = 0;
  bool no_new_privileges = false;

  bool Has(int capability) const { return (effective >> capability & 1) != 0; }
};
absl::StatusOr<ProcessPrivileges> ReadPrivileges(pid_t pid);

// Who an instance is to run as.
struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;        // Supplementary.
  bool change_user = false;         // Not the daemon's own: needs CAP_SETUID and CAP_SETGID.
  CapabilityMask capabilities = 0;  // To keep.
};

// By Security.user and .capabilities, on this host. kFailedPrecondition: a FieldError; no such
// user, or no such capability. It does not check that the daemon may become it.
absl::StatusOr<Credentials> ResolveCredentials(const v1::Security& security);

}  // namespace shadow
