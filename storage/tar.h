// The blocks around the files of a tar archive (POSIX ustar): plain files with short names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace shadow::storage {

inline constexpr size_t kTarBlockBytes = 512;
inline constexpr size_t kTarEndBytes = 2 * kTarBlockBytes;  // Zeros, after the last file.

struct TarEntry {
  std::string name;   // At most 99 bytes.
  int64_t bytes = 0;  // Of the content; at most 8^11 - 1 (8 GiB), or GNU's binary form beyond.
};

// One block, before the content. Mode 0600, owner root, time 0.
std::string TarHeader(const TarEntry& entry);

// `block`: kTarBlockBytes. kDataLoss: it is no header of a plain file, or damaged.
absl::StatusOr<TarEntry> ParseTarHeader(std::string_view block);

// Zeros after a content of `bytes`, up to the next block.
size_t TarPaddingBytes(int64_t bytes);

}  // namespace shadow::storage
