// Starts a program in a session of its own: held until released, with nothing of ours but what is
// asked.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/providers/process_credentials.h"
#include "server/providers/process_table.h"

namespace shadow {

struct SpawnPlan {
  struct Limit {
    int resource = 0;        // RLIMIT_...
    uint64_t maximum = 0;    // Soft and hard.
    const char* field = "";  // "dna.resources.tasks_max", for errors.
  };
  std::vector<std::string> argv;         // argv[0]: absolute path.
  std::vector<std::string> environment;  // "NAME=VALUE": all of it.
  std::string working_directory = "/";
  Credentials credentials;
  bool no_new_privileges = false;
  uint64_t open_files_soft = 0;  // Soft RLIMIT_NOFILE, unless `limits` has it; 0: the caller's.
  std::vector<Limit> limits;
  int output_fd = -1;  // Standard output and error; stays the caller's.
  // Under a guard (guard/process_guard.h): nothing that it starts outlives it, or the thread that
  // spawned it. The id is the guard's then.
  bool guarded = false;
};

// A child that leads its own session, stopped short of executing its program. If it is dropped (or
// this process dies) before Release, the child exits by itself. Owned by one thread.
//
// The program gets: /dev/null as input, no other descriptor of ours, default signals, none blocked,
// umask 022, capabilities bounded to `credentials.capabilities` (where we have CAP_SETPCAP; else
// there is nothing to gain but through a set-uid program).
class HeldProcess {
 public:
  // kResourceExhausted: no more processes. kUnavailable: no /dev/null or pipe.
  static absl::StatusOr<HeldProcess> Spawn(const SpawnPlan& plan);

  HeldProcess(HeldProcess&& other) noexcept;
  HeldProcess& operator=(HeldProcess&& other) = delete;
  ~HeldProcess();

  ProcessId id() const { return id_; }

  // Lets it execute its program. kFailedPrecondition (kResourceExhausted for the tasks limit): a
  // FieldError with what could not be done, and the child is reaped. OK too if it is still at it
  // after 1.5 s.
  absl::Status Release();

 private:
  HeldProcess() = default;
  void Abandon();

  SpawnPlan plan_;  // For its errors.
  ProcessId id_;
  int go_fd_ = -1;     // A byte releases the child, end of file ends it.
  int error_fd_ = -1;  // What failed; end of file: the program runs.
};

// Runs a program to its end and returns the first `output_max_bytes` of what it writes. All that it
// started, in whatever session, is killed when its first process has ended, and with it after
// `timeout` or when `stop` is asked for. kDeadlineExceeded, kCancelled, and as Spawn and Release;
// kUnavailable: its output could not be read. Not an error: an exit status.
absl::StatusOr<std::string> RunToEnd(SpawnPlan plan, Clock& clock, absl::Duration timeout,
                                     size_t output_max_bytes, const std::stop_token& stop);

}  // namespace shadow
