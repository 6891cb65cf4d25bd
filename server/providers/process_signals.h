// Signals to the processes of an instance, which can reach nobody else. A look at /proc that is not
// complete is an error, as in process_table.h, and nothing follows from it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/providers/process_record.h"
#include "server/providers/process_table.h"

namespace shadow {

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

// SIGKILL to every process of the instance, until none is left, and its holder has ended by itself,
// or `timeout` has passed (no error).
absl::Status KillAll(const ProcessRecord& record, const std::string& store_id, Clock& clock,
                     absl::Duration timeout);

// Reaps it if it is a dead child of ours.
void ReapIfOurs(const std::optional<ProcessStat>& process);

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
