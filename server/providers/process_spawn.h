// Starts a program in a session of its own: held until released, with nothing of ours but what is
// asked.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/providers/process_credentials.h"
#include "server/providers/process_table.h"

namespace shadow {

// What a process is started with.
struct SpawnSpec {
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
  int output_fd = -1;  // Standard output and error; stays the caller's. Unused with a holder.
  // Under a guard (guard/process_guard.h): nothing that it starts outlives it, or the thread that
  // spawned it. The id is the guard's then.
  bool guarded = false;

  // Under a holder (server/holder/main.cc), which outlives this process: all that it starts stays
  // below the holder, and the holder has its output.
  struct Holder {
    std::string program;      // Absolute path of shadow-holder.
    std::string environment;  // "NAME=VALUE": all of it.
    int log_fd = -1;          // These two stay the caller's.
    int exit_fd = -1;
    int64_t log_max_bytes = 0;
  };
  std::optional<Holder> holder;  // Not with `guarded`.
};

// Beside this program, or where it is installed. kNotFound: it is at neither place.
absl::StatusOr<std::string> FindHolder();

// A child that leads its own session, stopped short of executing its program. If it is dropped (or
// this process dies) before Release, the child exits by itself. Owned by one thread.
//
// The program gets: /dev/null as input, no other descriptor of ours, default signals, none blocked,
// umask 022, capabilities bounded to `credentials.capabilities` (where we have CAP_SETPCAP; else
// there is nothing to gain but through a set-uid program).
class HeldProcess {
 public:
  // kResourceExhausted: no more processes, descriptors or memory. kUnavailable: the holder cannot
  // be executed.
  static absl::StatusOr<HeldProcess> Spawn(const SpawnSpec& plan);

  HeldProcess(HeldProcess&& other) noexcept;
  HeldProcess& operator=(HeldProcess&& other) = delete;
  ~HeldProcess();

  // The guard's with one, otherwise the program's.
  ProcessId id() const { return id_; }
  // It is this process's child then, and the program is its child.
  std::optional<ProcessId> holder() const { return holder_; }

  // Lets it execute its program. kFailedPrecondition (kResourceExhausted where the host had no more
  // of something, or for the tasks limit): a FieldError with what could not be done, and the child
  // is reaped. OK too if it is still at it after 1.5 s, or what it does cannot be read: a look at
  // it will tell.
  absl::Status Release();

 private:
  HeldProcess() = default;
  // Fills in holder_ and id_.
  absl::Status AwaitHolder(int report_fd);
  void ReapOwnChild() const;
  void Abandon();

  SpawnSpec plan_;   // For its errors.
  pid_t child_ = 0;  // Of this process: the program, its guard or its holder.
  ProcessId id_;
  std::optional<ProcessId> holder_;
  int go_fd_ = -1;     // A byte releases the child, end of file ends it.
  int error_fd_ = -1;  // What failed; end of file: the program runs.
};

}  // namespace shadow
