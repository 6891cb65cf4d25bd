#include "server/providers/process_signals.h"

#include <linux/capability.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/providers/look/process_members.h"
#include "server/providers/process_credentials.h"

namespace shadow {
namespace {

constexpr absl::Duration kScanInterval = absl::Milliseconds(2);
constexpr int kScansBeforeRelease = 4;

std::vector<ProcessId> Ids(const std::vector<ProcessStat>& processes) {
  std::vector<ProcessId> ids;
  for (const ProcessStat& process : processes) {
    if (!process.IsDead()) ids.push_back(process.id);
  }
  return ids;
}

// The first error that is not "gone already".
absl::Status SignalEach(const std::vector<ProcessId>& processes, int signal) {
  absl::Status result;
  for (const ProcessId& process : processes) {
    const absl::Status status = SendSignal(process, signal);
    if (!status.ok() && !absl::IsNotFound(status)) result.Update(status);
  }
  return result;
}

// A process in vfork (posix_spawn, a shell) waits for its child to execute, and does not stop
// before: a child that was stopped too early has to go on for a moment. The next scan stops it
// again.
absl::Status ReleaseChildren(const std::vector<ProcessStat>& all,
                             const std::vector<ProcessId>& running) {
  std::vector<ProcessId> children;
  for (const ProcessStat& process : all) {
    const bool waited_for = std::any_of(running.begin(), running.end(), [&](const ProcessId& id) {
      return id.pid == process.parent;
    });
    if (waited_for && process.state == 'T') children.push_back(process.id);
  }
  return SignalEach(children, SIGCONT);
}

}  // namespace

absl::Status SendSignal(const ProcessId& process, int signal) {
  const absl::Status gone = absl::NotFoundError(absl::StrCat("process ", process.pid, " is gone"));
  const auto fd = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
  if (fd < 0 && errno == ESRCH) return gone;
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("pidfd_open ", process.pid));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  // Read after the pidfd was opened: if this is our process, the pidfd is that of our process.
  const auto now = ReadProcessStat(process.pid);
  if (!now.ok() && !absl::IsNotFound(now.status())) return now.status();
  if (!now.ok() || now->id != process || now->IsDead()) return gone;
  if (syscall(SYS_pidfd_send_signal, fd, signal, nullptr, 0) == 0) return absl::OkStatus();
  if (errno == ESRCH) return gone;
  return absl::ErrnoToStatus(errno,
                             absl::StrCat("cannot send signal ", signal, " to ", process.pid));
}

namespace {

absl::StatusOr<std::vector<ProcessId>> Running(const std::vector<ProcessStat>& processes) {
  std::vector<ProcessId> running;
  for (const ProcessStat& process : processes) {
    if (process.IsDead()) continue;
    const auto stopped = IsStopped(process.id.pid);
    if (!stopped.ok()) return stopped.status();
    if (!*stopped) running.push_back(process.id);
  }
  return running;
}

}  // namespace

absl::StatusOr<std::vector<ProcessId>> StopAll(const ProcessRecord& record,
                                               const std::string& store_id, Clock& clock,
                                               absl::Duration timeout) {
  const absl::Duration deadline = clock.Now().mono + timeout;
  bool quiet = false;  // The scan before found nothing that ran.
  for (int scan = 1;; ++scan) {
    const auto table = ReadProcessTable();
    if (!table.ok()) return table.status();
    const auto all = InstanceProcesses(*table, record, store_id);
    if (!all.ok()) return all.status();
    const auto running = Running(*all);
    if (!running.ok()) return running.status();
    // Nothing of it ran while this scan was made, so it missed nothing that was started meanwhile.
    if (running->empty() && quiet) return Ids(*all);
    quiet = running->empty();
    if (quiet) continue;
    absl::Status status = SignalEach(*running, SIGSTOP);
    if (status.ok() && scan % kScansBeforeRelease == 0) status = ReleaseChildren(*all, *running);
    if (!status.ok()) return status;
    if (clock.Now().mono >= deadline) {
      return absl::UnavailableError(absl::StrCat("process ", running->front().pid, " of instance ",
                                                 record.id, " has not stopped yet"));
    }
    Pause(clock, kScanInterval);
  }
}

absl::Status ContinueAll(const ProcessRecord& record, const std::vector<ProcessId>& stopped,
                         const std::string& store_id) {
  std::vector<ProcessId> processes = stopped;
  if (processes.empty()) {
    const auto table = ReadProcessTable();
    if (!table.ok()) return table.status();
    const auto all = InstanceProcesses(*table, record, store_id);
    if (!all.ok()) return all.status();
    processes = Ids(*all);
  }
  std::stable_partition(processes.begin(), processes.end(),
                        [&record](const ProcessId& id) { return id != record.leader; });
  return SignalEach(processes, SIGCONT);
}

absl::Status KillAll(const ProcessRecord& record, const std::string& store_id, Clock& clock,
                     absl::Duration timeout) {
  const absl::Duration deadline = clock.Now().mono + timeout;
  while (true) {
    const auto table = ReadProcessTable();
    if (!table.ok()) return table.status();
    const auto all = InstanceProcesses(*table, record, store_id);
    if (!all.ok()) return all.status();
    ReapOrphans(*all, record.leader);
    // Stopped first: what is stopped cannot start another one meanwhile.
    const std::vector<ProcessId> alive = Ids(*all);
    const ProcessStat* const holder = LivingHolder(*table, record);
    if (alive.empty() && holder == nullptr) return absl::OkStatus();
    if (holder != nullptr && holder->state == 'T') {
      absl::Status status = SignalEach({holder->id}, SIGCONT);
      if (!status.ok()) return status;
    }
    if (absl::Status status = SignalEach(alive, SIGSTOP); !status.ok()) return status;
    if (absl::Status status = SignalEach(alive, SIGKILL); !status.ok()) return status;
    if (clock.Now().mono >= deadline) return absl::OkStatus();
    Pause(clock, kScanInterval);
  }
}

void ReapIfOurs(const std::optional<ProcessStat>& process) {
  if (process.has_value() && process->IsDead() && process->parent == getpid()) {
    waitpid(process->id.pid, nullptr, WNOHANG);
  }
}

void ReapOrphans(const std::vector<ProcessStat>& processes, const ProcessId& leader) {
  for (const ProcessStat& process : processes) {
    if (process.IsDead() && process.parent == getpid() && process.id != leader) {
      waitpid(process.id.pid, nullptr, WNOHANG);
    }
  }
}

std::vector<ProcessId> LowerablePriority(const std::vector<ProcessId>& processes, int own_nice) {
  const auto own = ReadPrivileges(getpid());
  if (!own.ok() || !own->Has(CAP_SYS_NICE)) return {};
  std::vector<ProcessId> lowerable;
  for (const ProcessId& process : processes) {
    const auto threads = ReadThreads(process.pid);
    if (!threads.ok()) continue;  // It keeps its priority.
    const bool ordinary = std::all_of(threads->begin(), threads->end(), [own_nice](pid_t thread) {
      return getpriority(PRIO_PROCESS, static_cast<id_t>(thread)) == own_nice;
    });
    if (ordinary && !threads->empty()) lowerable.push_back(process);
  }
  return lowerable;
}

absl::Status SetPriority(const std::vector<ProcessId>& processes, int nice) {
  for (const ProcessId& process : processes) {
    const auto now = ReadProcessStat(process.pid);
    if (!now.ok() && !absl::IsNotFound(now.status())) return now.status();
    if (!now.ok() || now->id != process) continue;
    const auto threads = ReadThreads(process.pid);
    if (!threads.ok()) return threads.status();
    for (const pid_t thread : *threads) {
      setpriority(PRIO_PROCESS, static_cast<id_t>(thread), nice);
    }
  }
  return absl::OkStatus();
}

void Pause(Clock& clock, absl::Duration duration) {
  std::mutex mutex;
  std::condition_variable nobody;
  std::unique_lock lock(mutex);
  clock.WaitUntil(lock, nobody, clock.Now().mono + duration);
}

}  // namespace shadow
