// The embedded provider: each instance is a process of this host that leads its own session, below
// a holder of its own (server/holder/main.cc).
//
//   DIR/instances/ID.pid   what is known of an instance (process_record.h); it exists before the
//                          instance's program runs and until nothing of it is left.
//   DIR/instances/ID.log   its standard output and error.
//   DIR/instances/ID.exit  how it ended.
//   DIR/instances/*.ended  the logs of the last ones that have ended (logs/kept_logs.h).
//
// Nothing is known only in memory: a new object on the same directory takes every instance over,
// and instances outlive the daemon. `kill -9` of the daemon at any instant leaves an instance with
// a record, or none. A process is identified by pid, start time and boot, never by its pid alone.
//
// The holder writes the log, which never exceeds `log_max_bytes`: before it would, all but its last
// half is dropped. What the disk has no room for is dropped too.
//
// A suspended instance is stopped (SIGSTOP), every process of it: all that descends from its
// holder. One that somebody continues makes a look find the instance running, so it is stopped
// again. The holder itself goes on: it must note how a suspended instance ends if somebody kills
// it, and a process that somebody continues must not wait for room in its pipe.
//
// If the holder is killed, which only processes of the daemon's user and root can do, the instance
// counts as failed. Its processes are found by session, record and tag then, as those of an
// instance that an older daemon has started without a holder. Such a one keeps its log small only
// as far as Inspect and List cut it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/core/clock.h"
#include "server/core/ports.h"
#include "server/providers/facts/process_facts.h"
#include "server/providers/logs/kept_logs.h"
#include "server/providers/look/exit_watch.h"
#include "server/providers/process_ports.h"
#include "server/providers/process_record.h"

namespace shadow {

// Thread-safe as ports.h says: one call at a time for one instance, List at any time.
class ProcessProvider final : public Provider {
 public:
  struct Options {
    std::string state_dir;  // `instances` below it is made, mode 0700.
    std::string store_id;   // UUID of the store: the tag of its instances.
    std::string epoch;      // Of the store, STORE_ID/RANDOM: what is made now names it.
    int64_t log_max_bytes = 1 << 20;
    // Soft limit of open files of instances whose DNA has none; 0: the daemon's own.
    uint64_t open_files_soft = 0;
    // As of RecordDirectory: what wakes and suspends an instance is written also on a full disk.
    std::function<bool()> make_room = [] { return false; };
    Clock& clock;  // Must be a real one: processes do not wait for a manual clock.
  };

  // kFailedPrecondition or kPermissionDenied: the directory cannot be made or is somebody else's.
  // kNotFound: there is no holder's program.
  static absl::StatusOr<std::unique_ptr<ProcessProvider>> Open(const Options& options);

  // Tells of instances whose first process has ended, while the kernel has room for one more
  // inotify instance.
  void Listen(const std::function<void(std::string_view id)>& on_change) override {
    exit_watch_.emplace(records_.path(), on_change);
  }

  // Refuses what a plain process cannot enforce (process_plan.h).
  absl::Status Supports(const CompiledDna& dna) override;

  // kCreate, also kFailedPrecondition: the program, directory, user or a secret file of the DNA
  // cannot be used, or a limit cannot be raised without CAP_SYS_RESOURCE; the error names the field
  // and the reason, and nothing is left behind. kSuspend, also kUnavailable: a process of it could
  // not be stopped yet; try again.
  std::vector<absl::Status> Apply(std::span<const InstanceOp> operations) override;
  absl::StatusOr<Observation> Inspect(const InstanceSpec& instance) override;
  // kResourceExhausted: 4096 instances wait to be looked at.
  absl::StatusOr<std::optional<Differences>> Verify(const InstanceSpec& instance,
                                                    Part part) override;
  absl::StatusOr<std::vector<Observation>> List() override;
  absl::StatusOr<LogPiece> ReadLog(const InstanceSpec& instance,
                                   const LogRequest& request) override;

 private:
  enum class Stop { kGraceful, kForce };

  ProcessProvider(const Options& options, RecordDirectory records, std::string holder_program);

  absl::Status Carry(const InstanceOp& operation);
  absl::Status Create(const InstanceSpec& instance);
  absl::Status Suspend(const InstanceSpec& instance);
  absl::Status Resume(const InstanceSpec& instance);
  absl::Status Destroy(const InstanceSpec& instance, Stop stop);

  // The record of `id`; without one, that of a tagged process, which is written then. kNotFound.
  absl::StatusOr<ProcessRecord> Find(const std::string& id);
  // As Find, but kNotFound also if the instance has ended.
  absl::StatusOr<ProcessRecord> FindAlive(const std::string& id);
  absl::Status Start(const InstanceSpec& instance, int port);
  // Removes the record and its files if nothing of it is left, the holder included. True: done.
  absl::StatusOr<bool> RemoveIfGone(ProcessRecord& record);
  absl::Status StopGracefully(const InstanceSpec& instance, ProcessRecord& record);

  const Options options_;
  const RecordDirectory records_;
  const KeptLogs kept_logs_;
  const std::string holder_program_;
  FreePorts ports_;
  std::mutex log_mutex_;  // One truncation at a time.
  FactsCollector facts_;
  std::optional<ExitWatch> exit_watch_;
};

}  // namespace shadow
