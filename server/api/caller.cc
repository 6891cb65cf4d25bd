#include "server/api/caller.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"

namespace shadow {

Role RoleOf(uid_t uid, const std::set<uid_t>& admins) {
  return uid == 0 || uid == geteuid() || admins.contains(uid) ? Role::kAdmin : Role::kReader;
}

absl::Status RequireAdmin(const grpc::CallbackServerContext& context, const char* method) {
  const auto roles = context.auth_context()->FindPropertyValues(kRoleProperty);
  const bool admin = std::any_of(roles.begin(), roles.end(),
                                 [](const grpc::string_ref& role) { return role == kAdminRole; });
  if (admin) return absl::OkStatus();
  return ReasonError(absl::StatusCode::kPermissionDenied, "NOT_AN_ADMIN",
                     absl::StrCat(method,
                                  " is for root, the daemon's own user and admin_uids; "
                                  "others may only read"));
}

}  // namespace shadow
