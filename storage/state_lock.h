// Keeps a second daemon off the same state directory.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace shadow {

// Holds flock(2) on `directory` itself and on `directory`/lock, which contains this process's pid,
// until destroyed. The kernel lets go of them when the process ends, however it ends. The file
// stays; whoever removes it does not unlock the directory.
class StateLock {
 public:
  // Creates `directory` (mode 0700) if it is missing. kAlreadyExists: another process holds it; the
  // message names its pid. kFailedPrecondition, naming what was wanted: it is no directory, another
  // user owns it, others may write it, or its lock is no file of ours.
  static absl::StatusOr<std::unique_ptr<StateLock>> Take(const std::string& directory);

  StateLock(int directory_fd, int fd) : directory_fd_(directory_fd), fd_(fd) {}
  ~StateLock();
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;

 private:
  int directory_fd_;
  int fd_;
};

}  // namespace shadow
