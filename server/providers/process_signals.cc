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
#include <cstring>
#include <mutex>
#include <set>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/names.h"
#include "server/providers/process_credentials.h"

namespace shadow {
namespace {

constexpr absl::Duration kScanInterval = absl::Milliseconds(2);
constexpr int kScansBeforeRelease = 4;

// Also of a set-uid program, who has started it. False of one that is gone.
absl::StatusOr<bool> RunsAs(pid_t pid, const std::set<uid_t>& uids) {
  const auto privileges = ReadPrivileges(pid);
  const absl::Status& status = privileges.status();
  if (absl::IsNotFound(status) || absl::IsPermissionDenied(status)) return false;
  if (!privileges.ok()) return privileges.status();
  return uids.contains(privileges->uid) && uids.contains(privileges->real_uid);
}

// Carries both tags in its environment, and runs as one of `uids`.
absl::StatusOr<bool> IsTagged(pid_t pid, const std::string& instance_id,
                              const std::string& store_id, const std::set<uid_t>& uids) {
  const auto environment = ReadEnvironment(pid);
  if (!environment.ok()) return environment.status();
  const bool tagged = EnvironmentValue(*environment, kInstanceVariable) == instance_id &&
                      EnvironmentValue(*environment, kStoreVariable) == store_id;
  return tagged ? RunsAs(pid, uids) : false;
}

absl::StatusOr<std::set<uid_t>> UidsOf(const ProcessRecord& record, const ProcessStat* leader) {
  std::set<uid_t> uids = {geteuid()};
  if (record.uid.has_value()) {
    uids.insert(*record.uid);
  } else if (leader != nullptr) {
    const auto privileges = ReadPrivileges(leader->id.pid);
    if (privileges.ok()) uids.insert(privileges->uid);
    if (!privileges.ok() && !absl::IsNotFound(privileges.status())) return privileges.status();
  }
  return uids;
}

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

std::string Reason(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return absl::StrCat("exit status ", info.si_status);
  const char* const name = sigabbrev_np(info.si_status);
  return name != nullptr ? absl::StrCat("killed by SIG", name)
                         : absl::StrCat("killed by signal ", info.si_status);
}

// A tagged session leader as the record that it should have had.
ProcessRecord FromTags(const ProcessStat& leader, const std::string& environment) {
  ProcessRecord record;
  record.id = std::string(EnvironmentValue(environment, kInstanceVariable));
  record.pool = std::string(EnvironmentValue(environment, "SHADOWD_POOL"));
  record.shadow = std::string(EnvironmentValue(environment, "SHADOWD_SHADOW"));
  record.leader = leader.id;
  record.boot_id = BootId();
  record.has_secrets = true;  // Perhaps.
  const std::string port(EnvironmentValue(environment, "PORT"));
  if (!absl::SimpleAtoi(port, &record.port)) record.port = 0;
  return record;
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

const ProcessStat* FindProcess(const std::vector<ProcessStat>& table, const ProcessId& id) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&id](const ProcessStat& process) { return process.id == id; });
  return found == table.end() ? nullptr : &*found;
}

absl::StatusOr<std::optional<ProcessStat>> ReadLeader(const ProcessRecord& record) {
  if (record.leader.pid <= 0 || record.boot_id != BootId()) return std::nullopt;
  const auto stat = ReadProcessStat(record.leader.pid);
  if (absl::IsNotFound(stat.status())) return std::nullopt;
  if (!stat.ok()) return stat.status();
  if (stat->id != record.leader) return std::nullopt;
  return *stat;
}

absl::StatusOr<std::vector<ProcessStat>> InstanceProcesses(const std::vector<ProcessStat>& table,
                                                           const ProcessRecord& record,
                                                           const std::string& store_id) {
  const bool same_boot = record.boot_id == BootId();
  const ProcessStat* const leader = same_boot ? FindProcess(table, record.leader) : nullptr;
  const uint64_t oldest = same_boot ? record.leader.start_ticks : 0;
  const auto uids = UidsOf(record, leader);
  if (!uids.ok()) return uids.status();
  const pid_t self = getpid();

  std::set<pid_t> members;
  std::vector<ProcessStat> candidates;
  for (const ProcessStat& process : table) {
    if (process.session == 0 || process.id.start_ticks < oldest || process.id.pid == self) continue;
    const bool in_session = leader != nullptr && process.session == record.leader.pid;
    absl::StatusOr<bool> ours = in_session;
    if (!in_session) ours = IsTagged(process.id.pid, record.id, store_id, *uids);
    if (!ours.ok()) return ours.status();
    if (*ours) {
      members.insert(process.id.pid);
    } else {
      candidates.push_back(process);
    }
  }
  // Descendants that left the session and hide their environment.
  for (bool grown = true; grown;) {
    grown = false;
    for (const ProcessStat& process : candidates) {
      if (!members.contains(process.parent) || members.contains(process.id.pid)) continue;
      members.insert(process.id.pid);
      grown = true;
    }
  }
  std::vector<ProcessStat> result;
  for (const ProcessStat& process : table) {
    if (members.contains(process.id.pid)) result.push_back(process);
  }
  std::stable_partition(result.begin(), result.end(), [&record](const ProcessStat& process) {
    return process.id == record.leader;
  });
  return result;
}

absl::StatusOr<std::map<std::string, ProcessRecord>> FindTagged(
    const std::vector<ProcessStat>& table, const std::string& store_id,
    const std::set<uid_t>& uids) {
  std::map<std::string, ProcessRecord> found;
  for (const ProcessStat& process : table) {
    if (process.session != process.id.pid || process.IsDead()) continue;
    const auto environment = ReadEnvironment(process.id.pid);
    if (!environment.ok()) return environment.status();
    if (EnvironmentValue(*environment, kStoreVariable) != store_id) continue;
    ProcessRecord record = FromTags(process, *environment);
    const auto id_or_none = [](const std::string& id) { return id.empty() || IsId(id); };
    if (!IsId(record.id) || !id_or_none(record.pool) || !id_or_none(record.shadow)) continue;
    const auto believed = RunsAs(process.id.pid, uids);
    if (!believed.ok()) return believed.status();
    if (!*believed) continue;
    const auto [at, added] = found.try_emplace(record.id, record);
    if (!added && record.leader.start_ticks < at->second.leader.start_ticks) at->second = record;
  }
  return found;
}

std::optional<std::string> ExitOfChild(pid_t pid) {
  siginfo_t info{};
  const int result = waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
  if (pid <= 0 || result != 0 || info.si_pid != pid) return std::nullopt;
  return Reason(info);
}

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
    if (alive.empty()) return absl::OkStatus();
    if (absl::Status status = SignalEach(alive, SIGSTOP); !status.ok()) return status;
    if (absl::Status status = SignalEach(alive, SIGKILL); !status.ok()) return status;
    if (clock.Now().mono >= deadline) return absl::OkStatus();
    Pause(clock, kScanInterval);
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
