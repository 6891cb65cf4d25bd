// What the process provider knows of its instances: one small text file each, DIR/instances/ID.pid.
//
//   shadowd-instance 1
//   name pools/web/instances/i7
//   store 5d3c1f0a-7b2e-4c11-9a55-0123456789ab/8899aabbccddeeff
//   dna_revision dnas/web@0123456789ab
//   pid 4711
//   stopped 4711:88123          (one line for each process that Suspend stopped)
//   ...
//
// Written whole under another name, then renamed: a reader sees the old one or the new one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/providers/process_table.h"

namespace shadow {

struct ProcessRecord {
  std::string id;
  // Of the store that has made it, STORE_ID/RANDOM; empty: an older daemon has written it.
  std::string epoch;
  std::string name;  // Of the resource.
  // "dnas/web@0123456789ab", for a store that has lost it; empty: an older daemon has written it.
  std::string dna_revision;
  std::string pool;
  std::string shadow;        // Empty for BASE.
  std::optional<uid_t> uid;  // That it was started as; unset: written by an older daemon.
  ProcessId leader;          // Leads the instance's session. pid 0: the record was damaged.
  // Whose descendants all its processes are (server/holder); unset: started by an older daemon.
  std::optional<ProcessId> holder;
  std::string boot_id;
  int port = 0;
  int64_t create_time_unix_ns = 0;
  bool has_secrets = false;  // Its output may show them.
  bool stopping = false;     // Destroy was called.
  bool suspending = false;   // Suspend began: any of its processes may be stopped.
  bool suspended = false;    // Suspend went through, for every process in `stopped`.
  std::vector<ProcessId> stopped;
  std::vector<ProcessId> niced;  // Of those, the ones that were given nice 19 instead of `nice`.
  int nice = 0;
  std::string exit_reason;  // "exit status 3": an older daemon has reaped its leader.

  std::string Address() const;  // "127.0.0.1:PORT"
};

// The text of a record, without its id.
std::string SerializeRecord(const ProcessRecord& record);

// The record of `id` with this text. Unset: it is damaged.
std::optional<ProcessRecord> ParseRecord(const std::string& id, const std::string& text);

// Of the file that says how an instance ended; the id comes before it.
inline constexpr std::string_view kExitSuffix = ".exit";

// The files of one directory. Thread-safe for different ids, which are IsId: they become paths.
class RecordDirectory {
 public:
  // Makes `state_dir`/instances, mode 0700. kFailedPrecondition: it is not a directory of our own
  // user. `make_room` is asked when the disk is full; true: there is some more, try again.
  static absl::StatusOr<RecordDirectory> Open(
      const std::string& state_dir, std::function<bool()> make_room = [] { return false; });

  enum class Durability { kProcessCrash, kPowerLoss };  // kPowerLoss: fsync of file and directory.
  absl::Status Write(const ProcessRecord& record, Durability durability) const;

  // kNotFound: there is none. One that cannot be parsed comes back with pid 0.
  absl::StatusOr<ProcessRecord> Read(const std::string& id) const;

  // The record, the log and the exit status. OK if they are not there.
  absl::Status Remove(const std::string& id) const;

  // Every id that has a record or a log, ascending; Read may say kNotFound for it. Other files are
  // nobody's.
  absl::StatusOr<std::vector<std::string>> Ids() const;

  // Users whose processes may be instances: our own, and those of all records.
  absl::StatusOr<std::set<uid_t>> Uids() const;

  // Of all records.
  absl::StatusOr<std::set<int>> Ports() const;

  const std::string& path() const { return path_; }  // Of the directory.
  std::string LogPath(const std::string& id) const;
  std::string ExitPath(const std::string& id) const;

 private:
  RecordDirectory(std::string path, std::function<bool()> make_room)
      : path_(std::move(path)), make_room_(std::move(make_room)) {}

  absl::Status WriteOnce(const ProcessRecord& record, Durability durability) const;

  std::string path_;  // .../instances
  std::function<bool()> make_room_;
};

}  // namespace shadow
