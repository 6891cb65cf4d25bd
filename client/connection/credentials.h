// What shadowctl proves itself with over TCP, read from files and checked before it is used.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "client/connection/contexts.h"
#include "client/console.h"
#include "grpcpp/security/credentials.h"

namespace shadow {

// Of a target whose address is dns:HOST:PORT. A key that everyone may read is a warning on
// `console.err`. kInvalidArgument: a file is not named, cannot be read, is not what it should be,
// does not fit the others, or its certificate is not valid now; the message names flag and file.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const Target& target,
                                                                          const Console& console);

}  // namespace shadow
