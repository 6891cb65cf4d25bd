// Reads of /proc: which processes there are, and what they are. Each look is complete or an error:
// only ENOENT and ESRCH say that a process is gone. Other errors (no descriptor, no memory, I/O)
// say nothing of it, and come as they are.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shadow {

// A process for good: the number alone is used again, with another start time.
struct ProcessId {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // Clock ticks since boot, field 22 of /proc/PID/stat.

  friend auto operator<=>(const ProcessId&, const ProcessId&) = default;
};

struct ProcessStat {
  ProcessId id;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;  // 0: a kernel thread.
  char state = '?';   // Of its first thread: R, S, D, T, Z, ...
  int threads = 0;
  int nice = 0;

  // Has ended and only waits to be reaped. (One whose first thread ended while others run is
  // alive.)
  bool IsDead() const { return (state == 'Z' || state == 'X') && threads <= 1; }
};

// Of the text of /proc/PID/stat. Unset: it is not understood.
std::optional<ProcessStat> ParseProcessStat(pid_t pid, std::string_view text);

// kNotFound: there is none.
absl::StatusOr<ProcessStat> ReadProcessStat(pid_t pid);

// Every process, by pid; those that end meanwhile are left out. One that loses its parent meanwhile
// has its new one. An error if one of the others cannot be read.
absl::StatusOr<std::vector<ProcessStat>> ReadProcessTable();

// Who descends from whom in a table.
class ProcessTree {
 public:
  explicit ProcessTree(const std::vector<ProcessStat>& table);

  // All descendants of that process, zombies included, parents first; empty if it is not there.
  std::vector<ProcessStat> Below(const ProcessId& root) const;

 private:
  std::map<pid_t, ProcessId> ids_;
  std::multimap<pid_t, ProcessStat> by_parent_;
};

// True if every thread of it is stopped or has ended.
absl::StatusOr<bool> IsStopped(pid_t pid);

// The numbers of its threads, empty if it is gone.
absl::StatusOr<std::vector<pid_t>> ReadThreads(pid_t pid);

// The environment that it was started with, "NAME=VALUE\0..."; empty if it is gone or may not be
// read.
absl::StatusOr<std::string> ReadEnvironment(pid_t pid);

// The value of `name` in such a block; empty if it is not there.
std::string_view EnvironmentValue(std::string_view environment, std::string_view name);

// A UUID that is new with every boot of the host.
std::string BootId();

// Whether `status` means that the host could not be asked, so it says nothing of the process.
bool IsIncomplete(const absl::Status& status);

// A file, at most the first `max_bytes` (and a little more) of it. kNotFound: there is none, or the
// process that it tells of is gone. kPermissionDenied, ...
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes = 1 << 20);

}  // namespace shadow
