// Who has which role, as the configuration says.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "server/api/access/caller.h"
#include "shadow/v1/config.pb.h"

namespace shadow {

// The highest role of each.
struct Grants {
  std::map<uid_t, Role> uids;
  std::map<gid_t, Role> gids;
  std::map<std::string, Role> certificates;  // By "CN=...", "DNS:...", "URI:..." or "email:...".

  friend bool operator==(const Grants&, const Grants&) = default;
};

// Of `grants` and `admin_uids`. kInvalidArgument: a FieldError that names the field.
absl::StatusOr<Grants> ResolveGrants(const v1::DaemonConfig& config);

// The highest role that `caller` has. Root and this process's own user are administrators, and
// whoever can reach the Unix socket is a viewer. But an instance has no role, or that of a viewer
// where a grant names its user or a group of it. Over TCP only grants count.
Role RoleOf(const Caller& caller, const Grants& grants);

}  // namespace shadow
