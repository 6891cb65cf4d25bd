// Keeps a second daemon off the same state directory.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace shadow {

// Holds flock(2) on `directory`/lock, which contains this process's pid, until destroyed. The
// kernel lets go of it when the process ends, however it ends. The file stays.
class StateLock {
 public:
  // Creates `directory` (mode 0700) if it is missing. kAlreadyExists: another process holds it; the
  // message names its pid. kFailedPrecondition: another user owns the directory, or all may write
  // it.
  static absl::StatusOr<std::unique_ptr<StateLock>> Take(const std::string& directory);

  explicit StateLock(int fd) : fd_(fd) {}
  ~StateLock();
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;

 private:
  int fd_;
};

}  // namespace shadow
