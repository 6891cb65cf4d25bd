// Errors as shadowctl prints them and as exit codes.
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace shadow {

// 0 OK; 2 INVALID_ARGUMENT; 3 NOT_FOUND; 4 UNAUTHENTICATED, PERMISSION_DENIED; 5 ALREADY_EXISTS,
// FAILED_PRECONDITION, ABORTED; 6 UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED; 1 others.
int ExitCode(const absl::Status& status);

inline constexpr int kExitUsage = 2;
inline constexpr int kExitInterrupted = 130;

// "error: CODE: message", printable, without a line end. `status` must not be OK.
std::string ErrorLine(const absl::Status& status);

// An exit code of 1 that is an answer and no error: nothing is printed for it.
absl::Status Differs();
bool IsDiffers(const absl::Status& status);

// What a call to the daemon at `address` ended with. A field named only in the details
// (BadRequest in grpc-status-details-bin) is put in front of the message; an error of the transport
// names the socket and says what to do.
absl::Status StatusFromRpc(const grpc::Status& status, std::string_view address);

// The field at fault that such a status names in its details, as "pool.dna"; empty: none.
std::string FieldOf(const absl::Status& status);

// kInvalidArgument "<field>: <problem>".
absl::Status BadField(std::string_view field, std::string_view problem);

}  // namespace shadow
