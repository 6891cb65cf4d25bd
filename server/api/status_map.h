// absl::Status -> grpc::Status: the only place.
#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace shadow {

// With google.rpc.Status details: ErrorInfo (domain "shadowd") on every error, BadRequest where the
// error names a field (core/error.h). Message and details stay below kErrorMaxBytes together: more
// than the client's metadata limit would break its channel.
grpc::Status ToGrpc(const absl::Status& status);

inline constexpr size_t kErrorMaxBytes = 4096;

}  // namespace shadow
