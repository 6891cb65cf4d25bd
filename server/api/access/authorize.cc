#include "server/api/access/authorize.h"

#include "server/api/access/method_roles.h"

namespace shadow {

Caller CallerOf(const ApiContext& api, const grpc::ServerContextBase& context) {
  return api.direct.has_value() ? *api.direct : api.access->Find(context.peer());
}

absl::Status Authorize(const ApiContext& api, const grpc::ServerContextBase& context,
                       std::string_view method, bool validates) {
  const Caller caller = CallerOf(api, context);
  return CheckRole(caller, api.access->RoleOf(caller), method, validates);
}

Requester RequesterOf(const ApiContext& api, const grpc::ServerContextBase& context) {
  const Caller caller = CallerOf(api, context);
  return {.uid = caller.uid,
          .certificate = caller.certificates.empty() ? "" : caller.certificates.front()};
}

std::string ShareOf(const ApiContext& api, const grpc::ServerContextBase& context) {
  return api.direct.has_value() ? "admins" : api.access->Find(context.peer()).Name();
}

}  // namespace shadow
