#include "server/providers/look/process_members.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/names.h"
#include "server/holder/interface.h"
#include "server/providers/process_credentials.h"

namespace shadow {
namespace {

// Also of a set-uid program, who has started it. False of one that is gone.
absl::StatusOr<bool> RunsAs(pid_t pid, const std::set<uid_t>& uids) {
  const auto privileges = ReadPrivileges(pid);
  const absl::Status& status = privileges.status();
  if (absl::IsNotFound(status) || absl::IsPermissionDenied(status)) return false;
  if (!privileges.ok()) return privileges.status();
  return uids.contains(privileges->uid) && uids.contains(privileges->real_uid);
}

// Runs as one of `uids`, and carries both tags in its environment. The user comes first: what a
// stranger has written is not read.
absl::StatusOr<bool> IsTagged(pid_t pid, const std::string& instance_id,
                              const std::string& store_id, const std::set<uid_t>& uids) {
  const auto believed = RunsAs(pid, uids);
  if (!believed.ok() || !*believed) return believed;
  const auto environment = ReadEnvironment(pid);
  if (!environment.ok()) return environment.status();
  return EnvironmentValue(*environment, kInstanceVariable) == instance_id &&
         EnvironmentValue(*environment, kStoreVariable) == store_id;
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

absl::StatusOr<std::optional<ProcessStat>> ReadExactly(const ProcessId& id) {
  const auto stat = ReadProcessStat(id.pid);
  if (absl::IsNotFound(stat.status())) return std::nullopt;
  if (!stat.ok()) return stat.status();
  if (stat->id != id) return std::nullopt;
  return *stat;
}

void PutFirst(const ProcessId& leader, std::vector<ProcessStat>& processes) {
  std::stable_partition(processes.begin(), processes.end(),
                        [&leader](const ProcessStat& process) { return process.id == leader; });
}

// By session, record, tags and descent.
absl::StatusOr<std::vector<ProcessStat>> ProcessesWithoutHolder(
    const std::vector<ProcessStat>& table, const ProcessRecord& record,
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
    const bool was_stopped = same_boot && std::find(record.stopped.begin(), record.stopped.end(),
                                                    process.id) != record.stopped.end();
    absl::StatusOr<bool> ours = in_session || was_stopped;
    if (!*ours) ours = IsTagged(process.id.pid, record.id, store_id, *uids);
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
  PutFirst(record.leader, result);
  return result;
}

struct Holder {
  ProcessId process;
  std::string epoch;  // Empty: an older daemon has started it.
};

// Runs as the daemon's user and says that it holds this instance.
absl::StatusOr<std::optional<Holder>> HolderOf(const ProcessStat& leader,
                                               const std::vector<ProcessStat>& table,
                                               const std::string& id, const std::string& store_id) {
  const auto ours = RunsAs(leader.parent, {geteuid()});
  if (!ours.ok()) return ours.status();
  if (!*ours) return std::nullopt;
  const auto environment = ReadEnvironment(leader.parent);
  if (!environment.ok()) return environment.status();
  const std::string holds(EnvironmentValue(*environment, kHoldsVariable));
  const std::string instance = absl::StrCat(" ", id);
  if (!holds.ends_with(instance)) return std::nullopt;
  std::string epoch = holds.substr(0, holds.size() - instance.size());
  if (epoch == store_id) {
    epoch.clear();
  } else if (!epoch.starts_with(store_id + "/")) {
    return std::nullopt;
  }
  const auto holder = std::find_if(table.begin(), table.end(), [&](const ProcessStat& process) {
    return process.id.pid == leader.parent;
  });
  if (holder == table.end()) return std::nullopt;
  return Holder{.process = holder->id, .epoch = std::move(epoch)};
}

}  // namespace

const ProcessStat* FindProcess(const std::vector<ProcessStat>& table, const ProcessId& id) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&id](const ProcessStat& process) { return process.id == id; });
  return found == table.end() ? nullptr : &*found;
}

const ProcessStat* LivingHolder(const std::vector<ProcessStat>& table,
                                const ProcessRecord& record) {
  if (!record.holder.has_value() || record.boot_id != BootId()) return nullptr;
  const ProcessStat* const holder = FindProcess(table, *record.holder);
  return holder != nullptr && !holder->IsDead() ? holder : nullptr;
}

absl::StatusOr<std::optional<ProcessStat>> ReadLeader(const ProcessRecord& record) {
  if (record.leader.pid <= 0 || record.boot_id != BootId()) return std::nullopt;
  return ReadExactly(record.leader);
}

absl::StatusOr<std::optional<ProcessStat>> ReadHolder(const ProcessRecord& record) {
  if (!record.holder.has_value() || record.boot_id != BootId()) return std::nullopt;
  return ReadExactly(*record.holder);
}

absl::StatusOr<std::vector<ProcessStat>> InstanceProcesses(const std::vector<ProcessStat>& table,
                                                           const ProcessRecord& record,
                                                           const std::string& store_id) {
  if (LivingHolder(table, record) == nullptr) {
    // One that was adopted carries the tag of the store that has made it.
    const std::string tag = record.epoch.substr(0, record.epoch.find('/'));
    return ProcessesWithoutHolder(table, record, tag.empty() ? store_id : tag);
  }
  std::vector<ProcessStat> below = ProcessTree(table).Below(*record.holder);
  PutFirst(record.leader, below);
  return below;
}

absl::StatusOr<std::map<std::string, ProcessRecord>> FindTagged(
    const std::vector<ProcessStat>& table, const std::string& store_id,
    const std::set<uid_t>& uids) {
  std::map<std::string, ProcessRecord> found;
  for (const ProcessStat& process : table) {
    if (process.session != process.id.pid || process.IsDead()) continue;
    const auto believed = RunsAs(process.id.pid, uids);
    if (!believed.ok()) return believed.status();
    if (!*believed) continue;
    const auto environment = ReadEnvironment(process.id.pid);
    if (!environment.ok()) return environment.status();
    if (EnvironmentValue(*environment, kStoreVariable) != store_id) continue;
    ProcessRecord record = FromTags(process, *environment);
    const auto id_or_none = [](const std::string& id) { return id.empty() || IsId(id); };
    if (!IsId(record.id) || !id_or_none(record.pool) || !id_or_none(record.shadow)) continue;
    const auto holder = HolderOf(process, table, record.id, store_id);
    if (!holder.ok()) return holder.status();
    if (!holder->has_value()) continue;
    record.holder = (*holder)->process;
    record.epoch = (*holder)->epoch;
    const auto [at, added] = found.try_emplace(record.id, record);
    if (!added && record.leader.start_ticks < at->second.leader.start_ticks) at->second = record;
  }
  return found;
}

absl::StatusOr<bool> AnyRuns(const std::vector<ProcessStat>& processes) {
  for (const ProcessStat& process : processes) {
    if (process.IsDead() || process.state == 'T' || process.state == 't') continue;
    // The first thread of some has ended, which says nothing of the others.
    const bool unknown = process.state == 'Z' || process.state == 'X';
    const auto stopped = unknown ? IsStopped(process.id.pid) : absl::StatusOr<bool>(false);
    if (!stopped.ok()) return stopped.status();
    if (!*stopped) return true;
  }
  return false;
}

}  // namespace shadow
