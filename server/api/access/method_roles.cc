#include "server/api/access/method_roles.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/core/check.h"
#include "server/core/error.h"

namespace shadow {
namespace {

constexpr MethodRole Needs(std::string_view method, Role role) { return {method, role, role}; }

constexpr MethodRole kMethodRoles[] = {
    Needs("GetDna", Role::kViewer),
    Needs("ListDnas", Role::kViewer),
    Needs("GetPool", Role::kViewer),
    Needs("ListPools", Role::kViewer),
    Needs("GetShadowPool", Role::kViewer),
    Needs("ListShadowPools", Role::kViewer),
    Needs("ListInstances", Role::kViewer),
    Needs("GetInstance", Role::kViewer),
    Needs("GetForecast", Role::kViewer),
    Needs("ListDecisions", Role::kViewer),
    Needs("ListEvents", Role::kViewer),
    Needs("Watch", Role::kViewer),
    Needs("Simulate", Role::kViewer),
    Needs("EvaluatePool", Role::kViewer),
    Needs("GetServerStatus", Role::kViewer),

    Needs("ReportUsage", Role::kReporter),
    Needs("ReportUsageBatch", Role::kReporter),

    // How many instances of a pool there are, and how many serve.
    Needs("CreateShadowPool", Role::kOperator),
    Needs("UpdateShadowPool", Role::kOperator),
    Needs("ActivateShadowPool", Role::kOperator),
    Needs("ReleaseHold", Role::kOperator),
    // Which of its instances serve.
    Needs("RestartInstance", Role::kOperator),
    Needs("CordonInstance", Role::kOperator),
    Needs("UncordonInstance", Role::kOperator),
    // Only reads; but what a program writes may hold secrets.
    Needs("StreamInstanceLog", Role::kOperator),
    // Only looks, and says what it would do, with validate_only.
    {"AnalyzePoolUsage", Role::kOperator, Role::kViewer},

    // What runs here, the end of anything, and all that is known of it.
    Needs("CreateDna", Role::kAdmin),
    Needs("UpdateDna", Role::kAdmin),
    Needs("DeleteDna", Role::kAdmin),
    Needs("CreatePool", Role::kAdmin),
    Needs("UpdatePool", Role::kAdmin),
    Needs("DeletePool", Role::kAdmin),
    Needs("DeleteShadowPool", Role::kAdmin),
    Needs("CreateBackup", Role::kAdmin),
};

}  // namespace

std::span<const MethodRole> MethodRoles() { return kMethodRoles; }

absl::Status CheckRole(const Caller& caller, Role role, std::string_view method, bool validates) {
  const auto* const row =
      std::find_if(std::begin(kMethodRoles), std::end(kMethodRoles),
                   [&](const MethodRole& candidate) { return candidate.method == method; });
  CHECK(row != std::end(kMethodRoles));
  const Role needed = validates ? row->role_to_validate : row->role;
  if (role >= needed) return absl::OkStatus();
  const std::string has =
      role == Role::kNone ? "has no role" : absl::StrCat("has ", std::string(RoleName(role)));
  return ReasonError(
      absl::StatusCode::kPermissionDenied, "ROLE_TOO_LOW",
      absl::StrCat(std::string(method), " needs the role ", std::string(RoleName(needed)), "; ",
                   caller.Name(),
                   caller.origin == CallerOrigin::kInstance ? ", as an instance, " : " ", has,
                   " (grants in the configuration of shadowd)"));
}

}  // namespace shadow
