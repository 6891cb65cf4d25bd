// The SHA-256 of a data set, as DataSet.sha256 in dna.proto defines it.
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/statusor.h"

namespace shadow {

// Of a file: of its bytes. Of a directory: of the lines "<sha256>  <relative path>\n" of all
// regular files below it (links are not followed), sorted bytewise by path. 64 lower-case hex
// digits. kNotFound, kPermissionDenied, kUnavailable: a file cannot be read. kInvalidArgument:
// neither a file nor a directory. kFailedPrecondition: more than 1,000,000 files. kCancelled:
// `stop` was asked for.
absl::StatusOr<std::string> DataSetDigest(const std::string& path, const std::stop_token& stop);

}  // namespace shadow
