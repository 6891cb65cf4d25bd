#include "server/api/access/grants.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"

namespace shadow {
namespace {

constexpr std::string_view kNameKinds[] = {"CN=", "DNS:", "URI:", "email:"};

Role RoleFromProto(v1::Grant::Role role) {
  switch (role) {
    case v1::Grant::VIEWER:
      return Role::kViewer;
    case v1::Grant::REPORTER:
      return Role::kReporter;
    case v1::Grant::OPERATOR:
      return Role::kOperator;
    case v1::Grant::ADMIN:
      return Role::kAdmin;
    case v1::Grant::ROLE_UNSPECIFIED:
    case v1::Grant_Role_Grant_Role_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Grant_Role_Grant_Role_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return Role::kNone;
}

template <typename Map, typename Key>
void RaiseRole(Map& roles, const Key& key, Role role) {
  Role& of_key = roles[key];
  of_key = std::max(of_key, role);
}

template <typename Map, typename Key>
Role RoleIn(const Map& roles, const Key& key) {
  const auto found = roles.find(key);
  return found == roles.end() ? Role::kNone : found->second;
}

bool IsCertificateName(std::string_view name) {
  return std::any_of(std::begin(kNameKinds), std::end(kNameKinds), [&](std::string_view kind) {
    return name.starts_with(kind) && name.size() > kind.size();
  });
}

absl::Status AddGrant(const v1::Grant& grant, const std::string& field, Grants& grants) {
  const Role role = RoleFromProto(grant.role());
  if (role == Role::kNone) {
    return FieldError(field + ".role", "wanted VIEWER, REPORTER, OPERATOR or ADMIN");
  }
  if (grant.uids().empty() && grant.gids().empty() && grant.certificates().empty()) {
    return FieldError(field, "names nobody; wanted uids, gids or certificates");
  }
  for (const uid_t uid : grant.uids()) RaiseRole(grants.uids, uid, role);
  for (const gid_t gid : grant.gids()) RaiseRole(grants.gids, gid, role);
  for (const std::string& name : grant.certificates()) {
    if (!IsCertificateName(name)) {
      return FieldError(
          field + ".certificates",
          absl::StrCat("\"", name, "\" is not CN=NAME, DNS:NAME, URI:NAME or email:NAME"));
    }
    RaiseRole(grants.certificates, name, role);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Grants> ResolveGrants(const v1::DaemonConfig& config) {
  Grants grants;
  for (const uid_t uid : config.admin_uids()) RaiseRole(grants.uids, uid, Role::kAdmin);
  for (int i = 0; i < config.grants_size(); ++i) {
    const absl::Status added = AddGrant(config.grants(i), absl::StrCat("grants[", i, "]"), grants);
    if (!added.ok()) return added;
  }
  return grants;
}

Role RoleOf(const Caller& caller, const Grants& grants) {
  Role role = Role::kNone;
  for (const std::string& name : caller.certificates) {
    role = std::max(role, RoleIn(grants.certificates, name));
  }
  if (!caller.uid.has_value()) return role;
  role = std::max(role, RoleIn(grants.uids, *caller.uid));
  for (const gid_t gid : caller.gids) role = std::max(role, RoleIn(grants.gids, gid));
  if (caller.origin == CallerOrigin::kInstance) return std::min(role, Role::kViewer);
  if (caller.origin == CallerOrigin::kNotAsked) return Role::kViewer;
  if (*caller.uid == 0 || *caller.uid == geteuid()) return Role::kAdmin;
  return std::max(role, Role::kViewer);
}

}  // namespace shadow
