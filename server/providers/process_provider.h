// The embedded provider: each instance is a process of this host that leads its own session.
//
//   DIR/instances/ID.pid   what is known of an instance (process_record.h); it exists before the
//                          instance's program runs and until nothing of it is left.
//   DIR/instances/ID.log   its standard output and error.
//
// Nothing is known only in memory: a new object on the same directory takes every instance over,
// and instances outlive the daemon. `kill -9` of the daemon at any instant leaves an instance with
// a record, or none. A process is identified by pid, start time and boot, never by its pid alone.
//
// The log is bounded by truncation: whenever Inspect or List finds it above `log_max_bytes`, its
// last half of that is kept. So it holds at most `log_max_bytes` and what the instance writes
// between two looks; while no daemon runs nobody looks. A line written during the truncation itself
// may be lost.
//
// A suspended instance is stopped (SIGSTOP), every process of it: those of its session, their
// descendants, and those that carry its tag in their environment.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "server/core/clock.h"
#include "server/core/ports.h"
#include "server/providers/process_facts.h"
#include "server/providers/process_record.h"

namespace shadow {

// Thread-safe as ports.h says: one call at a time for one instance, List at any time.
class ProcessProvider final : public Provider {
 public:
  struct Options {
    std::string state_dir;  // `instances` below it is made, mode 0700.
    std::string store_id;   // UUID of the store: the tag of its instances.
    int64_t log_max_bytes = 1 << 20;
    // Soft limit of open files of instances whose DNA has none; 0: the daemon's own.
    uint64_t open_files_soft = 0;
    // As of RecordDirectory: what wakes and suspends an instance is written also on a full disk.
    std::function<bool()> make_room = [] { return false; };
    Clock& clock;  // Must be a real one: processes do not wait for a manual clock.
  };

  // kFailedPrecondition or kPermissionDenied: the directory cannot be made or is somebody else's.
  static absl::StatusOr<std::unique_ptr<ProcessProvider>> Open(const Options& options);

  // Refuses what a plain process cannot enforce (process_plan.h).
  absl::Status Supports(const CompiledDna& dna) override;

  // Also kFailedPrecondition: the program, directory, user or a secret file of the DNA cannot be
  // used; the error names the field and the reason, and nothing is left behind.
  absl::Status Create(const InstanceSpec& instance) override;

  // Also kUnavailable: a process of it could not be stopped yet; try again.
  absl::Status Suspend(const InstanceSpec& instance) override;
  absl::Status Resume(const InstanceSpec& instance) override;

  // A limit can be raised only with CAP_SYS_RESOURCE; kFailedPrecondition otherwise.
  absl::Status Destroy(const InstanceSpec& instance, Stop stop) override;
  absl::StatusOr<Observation> Inspect(const InstanceSpec& instance, Depth depth) override;
  absl::StatusOr<std::vector<Observation>> List() override;

 private:
  ProcessProvider(const Options& options, RecordDirectory records);

  // The record of `id`; without one, that of a tagged process, which is written then. kNotFound.
  absl::StatusOr<ProcessRecord> Find(const std::string& id);
  // As Find, but kNotFound also if the leader has ended.
  absl::StatusOr<ProcessRecord> FindAlive(const std::string& id);
  absl::StatusOr<int> TakePort(const CompiledDna& dna);
  void ReturnPort(int port);
  absl::Status Start(const InstanceSpec& instance, int port);
  // Life, address, handle, and the exit status without any output.
  absl::StatusOr<Observation> Observe(const ProcessRecord& record) const;
  // Reaps the leader if it is a dead child of ours, after its exit reason was written down; else
  // the zombie keeps the reason.
  void Reap(ProcessRecord& record);
  // Removes the record and the log if no process of it is left. True: done.
  absl::StatusOr<bool> RemoveIfGone(ProcessRecord& record);
  absl::Status StopGracefully(const InstanceSpec& instance, ProcessRecord& record);
  std::string WithLastOutput(const std::string& reason, const ProcessRecord& record,
                             const CompiledDna* dna) const;
  void CapLog(const std::string& id);

  const Options options_;
  const RecordDirectory records_;
  std::mutex port_mutex_;
  std::set<int> ports_in_creation_;  // Chosen, not yet in a record.
  std::mutex log_mutex_;             // One truncation at a time.
  FactsCollector facts_;
};

}  // namespace shadow
