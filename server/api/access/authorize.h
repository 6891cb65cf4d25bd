// Whether a call may go on, and who makes it.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "server/api/api_context.h"

namespace shadow {

Caller CallerOf(const ApiContext& api, const grpc::ServerContextBase& context);

// As CheckRole, for who makes this call, by what it may do now. Every handler begins with it.
absl::Status Authorize(const ApiContext& api, const grpc::ServerContextBase& context,
                       std::string_view method, bool validates = false);

// Who asks, for the log.
Requester RequesterOf(const ApiContext& api, const grpc::ServerContextBase& context);

// Whom a call counts for where callers have shares: "admins" for all who are not limited.
std::string ShareOf(const ApiContext& api, const grpc::ServerContextBase& context);

}  // namespace shadow
