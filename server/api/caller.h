// Who calls: the role and user that the listener has proved from the socket's peer.
#pragma once

#include <sys/types.h>

#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"

namespace shadow {

enum class Role { kReader, kAdmin };

// Root, this process's own user and `admins` may change things.
Role RoleOf(uid_t uid, const std::set<uid_t>& admins);

// OK if callers of `role` may change things. kPermissionDenied otherwise; `method` is named in it.
absl::Status RequireAdmin(Role role, const char* method);

// Begins the address of what gRPC reads from for reader `uid`; at most 40 bytes.
std::string PeerName(uid_t uid);

// The reader who calls; unset: an administrator. `peer`: grpc::ServerContextBase::peer().
std::optional<uid_t> ReaderOf(const std::string& peer);

// Whom a call counts for where callers have shares: "user 1000" for a reader; "admins" for all of
// them together. `peer`: as for ReaderOf.
std::string CallerOf(const std::string& peer);

}  // namespace shadow
