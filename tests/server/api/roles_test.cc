// Who has which role, and which role each method needs.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/api/access/access.h"
#include "server/api/access/grants.h"
#include "server/api/access/method_roles.h"
#include "server/api/services.h"
#include "server/core/error.h"

namespace shadow {
namespace {

// All methods of all services that the contract has.
std::vector<const google::protobuf::MethodDescriptor*> AllMethods() {
  constexpr std::string_view kService = "service ";
  std::vector<const google::protobuf::MethodDescriptor*> methods;
  for (const auto& entry :
       std::filesystem::directory_iterator(SHADOW_SOURCE_DIR "/proto/shadow/v1")) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with(kService)) continue;
      const std::string name = line.substr(kService.size(), line.find(" {") - kService.size());
      const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          "shadow.v1." + name);
      INFO(name);
      REQUIRE(service != nullptr);
      for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
    }
  }
  REQUIRE(methods.size() >= 34);
  return methods;
}

TEST_CASE("each method of the API has exactly one row in the table of roles") {
  std::multiset<std::string> named;
  for (const MethodRole& row : MethodRoles()) {
    named.emplace(row.method);
    CHECK(row.role != Role::kNone);
    CHECK(row.role_to_validate <= row.role);
  }
  std::multiset<std::string> served;
  for (const auto* method : AllMethods()) served.insert(method->name());
  CHECK(named == served);
}

TEST_CASE("no method that changes something is for viewers") {
  for (const auto* method : AllMethods()) {
    const bool changes = method->input_type()->FindFieldByName("validate_only") != nullptr;
    INFO(method->full_name());
    const Caller viewer{.uid = 1000};
    CHECK(CheckRole(viewer, Role::kViewer, method->name()).ok() !=
          (changes || method->name() == "CreateBackup" || method->name() == "ReportUsage" ||
           method->name() == "StreamInstanceLog"));
  }
}

TEST_CASE("each role may do what those before it may, and a refusal names all that matters") {
  const Caller caller{.uid = 1000};
  const struct {
    const char* method;
    Role role;
  } rows[] = {{"GetPool", Role::kViewer},
              {"ReportUsageBatch", Role::kReporter},
              {"ActivateShadowPool", Role::kOperator},
              {"UpdateShadowPool", Role::kOperator},
              {"ReleaseHold", Role::kOperator},
              {"CreateDna", Role::kAdmin},
              {"DeletePool", Role::kAdmin},
              {"DeleteShadowPool", Role::kAdmin}};
  for (const auto& row : rows) {
    for (const Role role :
         {Role::kNone, Role::kViewer, Role::kReporter, Role::kOperator, Role::kAdmin}) {
      INFO(row.method << " as " << RoleName(role));
      const absl::Status checked = CheckRole(caller, role, row.method);
      CHECK(checked.ok() == (role >= row.role));
      CHECK((checked.ok() || absl::IsPermissionDenied(checked)));
    }
  }
  CHECK(CheckRole(caller, Role::kReporter, "ActivateShadowPool").message() ==
        "ActivateShadowPool needs the role operator; user 1000 has reporter "
        "(grants in the configuration of shadowd)");
  CHECK(CheckRole({.certificates = {"CN=ops"}}, Role::kNone, "GetPool").message() ==
        "GetPool needs the role viewer; certificate CN=ops has no role "
        "(grants in the configuration of shadowd)");
  CHECK(CheckRole(caller, Role::kViewer, "AnalyzePoolUsage", true).ok());
  CHECK_FALSE(CheckRole(caller, Role::kViewer, "AnalyzePoolUsage").ok());
}

v1::Grant GrantOf(v1::Grant::Role role) {
  v1::Grant grant;
  grant.set_role(role);
  return grant;
}

TEST_CASE("a caller has the highest role that a grant or its user gives it") {
  v1::DaemonConfig config;
  config.add_admin_uids(1001);
  v1::Grant& operators = *config.add_grants() = GrantOf(v1::Grant::OPERATOR);
  operators.add_uids(1002);
  operators.add_gids(50);
  operators.add_certificates("CN=ops");
  v1::Grant& reporters = *config.add_grants() = GrantOf(v1::Grant::REPORTER);
  reporters.add_uids(1002);
  reporters.add_certificates("URI:spiffe://x/meter");
  const auto grants = ResolveGrants(config);
  REQUIRE(grants.ok());
  const uid_t stranger = geteuid() + 12345;
  const struct {
    Caller caller;
    Role role;
  } rows[] = {
      {{.uid = 0}, Role::kAdmin},
      {{.uid = geteuid()}, Role::kAdmin},
      {{.uid = stranger}, Role::kViewer},
      {{.uid = 1001}, Role::kAdmin},
      {{.uid = 1002}, Role::kOperator},
      {{.uid = stranger, .gids = {7, 50}}, Role::kOperator},
      {{.certificates = {"CN=ops"}}, Role::kOperator},
      {{.certificates = {"CN=x", "URI:spiffe://x/meter"}}, Role::kReporter},
      {{.certificates = {"DNS:ops"}}, Role::kNone},  // Another kind of name.
      {{.certificates = {"CN=OPS"}}, Role::kNone},
      {{}, Role::kNone},
      // Instances.
      {{.uid = 0, .origin = CallerOrigin::kInstance}, Role::kNone},
      {{.uid = geteuid(), .origin = CallerOrigin::kInstance}, Role::kNone},
      {{.uid = 1001, .origin = CallerOrigin::kInstance}, Role::kViewer},
      {{.uid = stranger, .gids = {50}, .origin = CallerOrigin::kInstance}, Role::kViewer},
      // Whom a reload has raised since it has connected.
      {{.uid = 1001, .origin = CallerOrigin::kNotAsked}, Role::kViewer},
  };
  for (const auto& row : rows) {
    INFO(row.caller.Name() << ", origin " << static_cast<int>(row.caller.origin));
    CHECK(RoleOf(row.caller, *grants) == row.role);
  }
}

TEST_CASE("a grant counts from the next call on, also of a connection that is open") {
  Access access;
  const Caller caller{.uid = geteuid() + 12345};
  const uint64_t connection = access.Add(caller);
  const std::string peer = "unix-abstract:" + Access::AddressOf(connection) + "0123456789abcdef";
  CHECK(access.RoleOf(access.Find(peer)) == Role::kViewer);
  access.SetGrants({.uids = {{*caller.uid, Role::kOperator}}, .gids = {}, .certificates = {}});
  CHECK(access.RoleOf(access.Find(peer)) == Role::kOperator);
  access.Remove(connection);
  CHECK(access.RoleOf(access.Find(peer)) == Role::kNone);
  CHECK(Access::AddressOf(UINT64_MAX).size() <= 40);
}

}  // namespace
}  // namespace shadow
