// Reading an instance's output file.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/core/ports.h"

namespace shadow {

// The piece of the file that `request` asks for; `id` and `ended` are the caller's to fill in. A
// file that is shorter than its offset was cut meanwhile: the piece is empty, and the next one goes
// on from the file's end. kNotFound: there is no such file.
absl::StatusOr<LogPiece> ReadLogPiece(const std::string& path, const LogRequest& request);

}  // namespace shadow
