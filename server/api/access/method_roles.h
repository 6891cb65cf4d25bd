// The role that each method of the API needs: the one table.
#pragma once

#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "server/api/access/caller.h"

namespace shadow {

struct MethodRole {
  std::string_view method;  // Its name, which is unique among all services: "GetPool".
  Role role;
  Role role_to_validate;  // With validate_only set.
};

std::span<const MethodRole> MethodRoles();

// OK if `role`, which `caller` has, is enough for `method`. kPermissionDenied otherwise; it names
// the method, the role that it needs, and the caller with its role. `validates`: the request has
// validate_only set.
absl::Status CheckRole(const Caller& caller, Role role, std::string_view method,
                       bool validates = false);

}  // namespace shadow
