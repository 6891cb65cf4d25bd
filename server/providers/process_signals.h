// The processes of an instance, and signals to them that can reach nobody else. A look at /proc
// that is not complete is an error, as in process_table.h, and nothing follows from it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/providers/process_record.h"
#include "server/providers/process_table.h"

namespace shadow {

inline constexpr char kInstanceVariable[] = "SHADOWD_INSTANCE";
inline constexpr char kStoreVariable[] = "SHADOWD_STORE";

// The entry of `table` that is exactly this process; nullptr if there is none.
const ProcessStat* FindProcess(const std::vector<ProcessStat>& table, const ProcessId& id);

// The leader, if it is there, be it as a zombie.
absl::StatusOr<std::optional<ProcessStat>> ReadLeader(const ProcessRecord& record);

// Every process of the instance, zombies included, the leader (if it is there) first:
// - those of the leader's session, as long as the leader (or its zombie) keeps that number from
// being
//   used again; then only those that
// - carry the instance's and the store's tag in their environment, in whatever session, and run as
//   the record's user or as ours: whoever else writes that tag is not believed; and
// - the descendants of all these.
// Never this process itself, and none that is older than the leader.
absl::StatusOr<std::vector<ProcessStat>> InstanceProcesses(const std::vector<ProcessStat>& table,
                                                           const ProcessRecord& record,
                                                           const std::string& store_id);

// The oldest session leader of each instance that carries the store's tag and runs as one of
// `uids`, by instance id, as the record that it should have had. An environment is anybody's to
// write: what is no id there is left out.
absl::StatusOr<std::map<std::string, ProcessRecord>> FindTagged(
    const std::vector<ProcessStat>& table, const std::string& store_id,
    const std::set<uid_t>& uids);

// How a child of ours ended: "exit status 3", "killed by SIGKILL"; unset: it is no dead child of
// ours. It stays to be reaped.
std::optional<std::string> ExitOfChild(pid_t pid);

// Through a pidfd, after the start time was compared behind it: a number that was used again is
// never signalled. kNotFound: the process is gone.
absl::Status SendSignal(const ProcessId& process, int signal);

// SIGSTOP to every process of the instance, repeated until a scan finds none that runs; leader
// first. kUnavailable: one still runs after `timeout`. Returns all that are stopped.
absl::StatusOr<std::vector<ProcessId>> StopAll(const ProcessRecord& record,
                                               const std::string& store_id, Clock& clock,
                                               absl::Duration timeout);

// SIGCONT to `stopped`, or, where that is empty, to every process of the instance; the leader last.
absl::Status ContinueAll(const ProcessRecord& record, const std::vector<ProcessId>& stopped,
                         const std::string& store_id);

// SIGKILL to every process of the instance, until none is left or `timeout` has passed (no error).
absl::Status KillAll(const ProcessRecord& record, const std::string& store_id, Clock& clock,
                     absl::Duration timeout);

// Reaps those among `processes` that are dead children of ours, but not `leader`.
void ReapOrphans(const std::vector<ProcessStat>& processes, const ProcessId& leader);

// Those of `processes` whose threads all have our own nice (`own_nice`): others have chosen theirs.
// None without CAP_SYS_NICE, as a lower priority could not be undone.
std::vector<ProcessId> LowerablePriority(const std::vector<ProcessId>& processes, int own_nice);
// Of every thread.
absl::Status SetPriority(const std::vector<ProcessId>& processes, int nice);

// For waiting on the kernel in short slices.
void Pause(Clock& clock, absl::Duration duration);

}  // namespace shadow
