// A file that holds disk space back, for writes that must not fail when the disk is full.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace shadow::storage {

// Not thread-safe. The file outlives this, and the next one takes it over. File systems that
// compress or copy on write may not hold back what they promise.
class Ballast {
 public:
  // Of one Release. Small: another process that writes to the same disk takes what it can get of
  // it, and what is not released yet is not lost to it.
  static constexpr int64_t kSliceBytes = 256 << 10;

  // `bytes_max`: of the whole file, a multiple of kSliceBytes; 0 for no ballast.
  Ballast(std::string path, int64_t bytes_max);

  int64_t bytes() const { return bytes_; }
  int64_t missing_bytes() const { return bytes_max_ - bytes_; }
  bool whole() const { return bytes_ == bytes_max_; }

  // Makes it whole. kResourceExhausted: there is no room. Nothing has changed after an error.
  absl::Status Fill();

  // Gives a slice back to the file system. False: nothing is left to give, or it failed.
  bool Release();

 private:
  const std::string path_;
  const int64_t bytes_max_;
  int64_t bytes_ = 0;  // Of the file.
};

}  // namespace shadow::storage
