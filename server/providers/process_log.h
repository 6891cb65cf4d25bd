// An instance's output file: opening it, and its last words. Its holder keeps it small.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shadow {

// Opens `path` for its holder, mode 0600, empty. The descriptor is the caller's.
absl::StatusOr<int> OpenLog(const std::string& path);

// For an instance without a holder, which writes the file itself: if it is larger than `max_bytes`,
// only the last half of that stays, from the beginning of a line. What is written at the same
// instant may be lost. OK if there is no such file.
absl::Status CapLog(const std::string& path, int64_t max_bytes);

// The last lines that hold anything, at most 3 and 512 bytes, joined by " | "; valid UTF-8 without
// control characters. Every line of every one of `secrets` is replaced. Empty: no output.
std::string LastOutput(const std::string& path, const std::vector<std::string>& secrets);

}  // namespace shadow
