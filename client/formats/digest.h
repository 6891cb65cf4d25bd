// The SHA-256 of a file or directory, as DataSet.sha256 of proto/shadow/v1/dna.proto defines it.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace shadow {

// 64 lower-case hex digits. Of a directory: of the lines "<sha256>  <relative path>\n" of all
// regular files below it, sorted bytewise by path; links in it are not followed. kNotFound,
// kPermissionDenied, kUnavailable and the like: something cannot be read. kInvalidArgument: `path`
// is neither a file nor a directory. kFailedPrecondition: more files than the daemon takes.
absl::StatusOr<std::string> DigestOfPath(const std::string& path);

}  // namespace shadow
