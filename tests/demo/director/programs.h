// Child processes of the demonstration.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "tests/demo/director/interrupt.h"

namespace shadow::demo {

// A running program in a session of its own, so that the terminal's ctrl-C does not reach it;
// output goes to a file. Killed when destroyed, unless released. Main thread only.
class Program {
 public:
  // `argv[0]`: a path or a name looked up in PATH. kNotFound: it cannot be run.
  static absl::StatusOr<std::unique_ptr<Program>> Start(const std::vector<std::string>& argv,
                                                        const std::string& log_file);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  // "exit status 3" or "signal 11", once it is not Running.
  std::string Description() const;

  // SIGTERM, and SIGKILL after `timeout`; returns when it is gone. kDeadlineExceeded: it had to be
  // killed. kInternal: it ended with another status than 0. OK if it was released.
  absl::Status Stop(absl::Duration timeout, const Clock& clock);

  // It outlives this object.
  void Release() { pid_ = -1; }

 private:
  explicit Program(pid_t pid, std::string name) : pid_(pid), name_(std::move(name)) {}

  pid_t pid_;  // -1: ended and waited for, or released.
  std::string name_;
  int wait_status_ = 0;
};

// Runs a program to its end and returns its output (stdout and stderr, from `log_file`).
// kInternal: another exit status than 0, with the end of the output. kDeadlineExceeded: killed
// after `timeout`. kCancelled: interrupted.
absl::StatusOr<std::string> RunToEnd(const std::vector<std::string>& argv,
                                     const std::string& log_file, absl::Duration timeout,
                                     const Clock& clock, Interrupt& interrupt);

// The pids of all processes that have `entry` ("NAME=value") in their environment.
std::vector<pid_t> ProcessesWithEnvironment(std::string_view entry);

// SIGKILL to them, again and again until none is left or `timeout` has passed; returns how many
// were found at first.
size_t KillProcessesWithEnvironment(std::string_view entry, absl::Duration timeout,
                                    const Clock& clock);

// The last `bytes_max` bytes of a file; empty if it cannot be read.
std::string FileTail(const std::string& path, size_t bytes_max);

}  // namespace shadow::demo
