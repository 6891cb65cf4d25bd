// Which daemon a command is for, and how it is reached.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/arguments.h"
#include "client/console.h"
#include "grpcpp/security/credentials.h"

namespace shadow {

struct Endpoint {
  std::string address;  // "unix:PATH" or "dns:HOST:PORT"
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::string server_name = {};  // That its certificate must have; empty: that of the address.
};

// Flags first, then the environment, then the file of contexts: --address; the context of
// --context, $SHADOWD_ADDRESS, the context of $SHADOWCTL_CONTEXT, the current context;
// kDefaultAddress. A context that is used gives what no flag does. kInvalidArgument: what is
// malformed or missing, with the flag, variable or file that it comes from.
absl::StatusOr<Endpoint> ResolveEndpoint(const Arguments& arguments, const Console& console);

// The socket at kDefaultAddress, for commands that call nobody.
Endpoint NoEndpoint();

// kInvalidArgument for `source`: it is neither unix:PATH nor dns:HOST:PORT.
absl::Status CheckAddress(const std::string& address, std::string_view source);

}  // namespace shadow
