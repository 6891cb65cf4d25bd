// Who calls: the role that the listener has proved from the socket's peer.
#pragma once

#include <sys/types.h>

#include <set>

#include "absl/status/status.h"
#include "grpcpp/server_context.h"

namespace shadow {

enum class Role { kReader, kAdmin };

// The name under which the listener's credentials carry the role in the AuthContext.
inline constexpr char kRoleProperty[] = "shadowd-role";
inline constexpr char kAdminRole[] = "admin";
inline constexpr char kReaderRole[] = "reader";

// Root, this process's own user and `admins` may change things.
Role RoleOf(uid_t uid, const std::set<uid_t>& admins);

// OK if the caller may change things. kPermissionDenied otherwise; `method` is named in it.
absl::Status RequireAdmin(const grpc::CallbackServerContext& context, const char* method);

}  // namespace shadow
