#include "server/providers/process_record.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/core/names.h"

namespace shadow {
namespace {

constexpr char kFirstLine[] = "shadowd-instance 1";
constexpr char kRecordSuffix[] = ".pid";
constexpr char kPartSuffix[] = ".part";
constexpr std::string_view kLogSuffix = ".log";

std::optional<ProcessId> ParseId(const std::string& value) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(value, absl::MaxSplits(':', 1));
  ProcessId id;
  if (!absl::SimpleAtoi(parts.first, &id.pid) || id.pid <= 0) return std::nullopt;
  if (!absl::SimpleAtoi(parts.second, &id.start_ticks)) return std::nullopt;
  return id;
}

bool AddId(const std::string& value, std::vector<ProcessId>& out) {
  const std::optional<ProcessId> id = ParseId(value);
  if (id.has_value()) out.push_back(*id);
  return id.has_value();
}

bool ParsePort(const std::string& value, int& port) {
  return absl::SimpleAtoi(value, &port) && port >= 0 && port <= 65535;
}

bool ParseFlag(const std::string& value, bool& flag) {
  flag = value == "1";
  return value == "0" || value == "1";
}

// False: not a line of ours.
bool ParseLine(const std::string& key, const std::string& value, ProcessRecord& record) {
  if (key == "store") return record.epoch = value, true;
  if (key == "name") return record.name = value, true;
  if (key == "dna_revision") return record.dna_revision = value, true;
  if (key == "pool") return record.pool = value, true;
  if (key == "shadow") return record.shadow = value, true;
  if (key == "boot_id") return record.boot_id = value, true;
  if (key == "exit_reason") return record.exit_reason = value, true;
  if (key == "uid") return absl::SimpleAtoi(value, &record.uid.emplace());
  if (key == "pid") return absl::SimpleAtoi(value, &record.leader.pid);
  if (key == "start_ticks") return absl::SimpleAtoi(value, &record.leader.start_ticks);
  if (key == "port") return ParsePort(value, record.port);
  if (key == "create_time_unix_ns") return absl::SimpleAtoi(value, &record.create_time_unix_ns);
  if (key == "nice") return absl::SimpleAtoi(value, &record.nice);
  if (key == "has_secrets") return ParseFlag(value, record.has_secrets);
  if (key == "stopping") return ParseFlag(value, record.stopping);
  if (key == "suspending") return ParseFlag(value, record.suspending);
  if (key == "suspended") return ParseFlag(value, record.suspended);
  if (key == "holder") return (record.holder = ParseId(value)).has_value();
  if (key == "stopped") return AddId(value, record.stopped);
  if (key == "niced") return AddId(value, record.niced);
  return false;
}

absl::Status WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return absl::ErrnoToStatus(written < 0 ? errno : ENOSPC, "write");
    text.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  if (result != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot sync ", path));
  return absl::OkStatus();
}

}  // namespace

std::string SerializeRecord(const ProcessRecord& record) {
  std::string text = absl::StrCat(
      kFirstLine, "\nname ", record.name, "\npool ", record.pool, "\nshadow ", record.shadow,
      "\npid ", record.leader.pid, "\nstart_ticks ", record.leader.start_ticks, "\nboot_id ",
      record.boot_id, "\nport ", record.port, "\ncreate_time_unix_ns ", record.create_time_unix_ns,
      "\nhas_secrets ", record.has_secrets, "\nstopping ", record.stopping, "\nsuspending ",
      record.suspending, "\nsuspended ", record.suspended, "\nnice ", record.nice, "\nexit_reason ",
      record.exit_reason, "\n");
  if (!record.epoch.empty()) absl::StrAppend(&text, "store ", record.epoch, "\n");
  if (!record.dna_revision.empty()) {
    absl::StrAppend(&text, "dna_revision ", record.dna_revision, "\n");
  }
  if (record.uid.has_value()) absl::StrAppend(&text, "uid ", *record.uid, "\n");
  if (record.holder.has_value()) {
    absl::StrAppend(&text, "holder ", record.holder->pid, ":", record.holder->start_ticks, "\n");
  }
  for (const ProcessId& id : record.stopped) {
    absl::StrAppend(&text, "stopped ", id.pid, ":", id.start_ticks, "\n");
  }
  for (const ProcessId& id : record.niced) {
    absl::StrAppend(&text, "niced ", id.pid, ":", id.start_ticks, "\n");
  }
  absl::StrAppend(&text, "end\n");
  return text;
}

std::optional<ProcessRecord> ParseRecord(const std::string& id, const std::string& text) {
  // Nothing else is written, and what is said of an instance goes into messages and the store.
  const auto written = [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); };
  if (!std::all_of(text.begin(), text.end(), written)) return std::nullopt;
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (lines.size() < 3 || lines.front() != kFirstLine) return std::nullopt;
  if (lines[lines.size() - 2] != "end") return std::nullopt;
  ProcessRecord record;
  record.id = id;
  for (size_t i = 1; i + 2 < lines.size(); ++i) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(lines[i], absl::MaxSplits(' ', 1));
    if (!ParseLine(parts.first, parts.second, record)) return std::nullopt;
  }
  if (record.leader.pid <= 0) return std::nullopt;
  return record;
}

std::string ProcessRecord::Address() const {
  return port > 0 ? absl::StrCat("127.0.0.1:", port) : std::string();
}

absl::StatusOr<RecordDirectory> RecordDirectory::Open(const std::string& state_dir,
                                                      std::function<bool()> make_room) {
  std::string path = absl::StrCat(state_dir, "/instances");
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  }
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " must be a directory that belongs to uid ", geteuid()));
  }
  if (chmod(path.c_str(), 0700) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot set the mode of ", path));
  }
  return RecordDirectory(std::move(path), std::move(make_room));
}

absl::Status RecordDirectory::Write(const ProcessRecord& record, Durability durability) const {
  absl::Status status = WriteOnce(record, durability);
  while (absl::IsResourceExhausted(status) && make_room_()) status = WriteOnce(record, durability);
  return status;
}

absl::Status RecordDirectory::WriteOnce(const ProcessRecord& record, Durability durability) const {
  const std::string path = absl::StrCat(path_, "/", record.id, kRecordSuffix);
  const std::string part = absl::StrCat(path, kPartSuffix);
  const int fd = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", part));
  absl::Status status = WriteAll(fd, SerializeRecord(record));
  const bool durable = durability == Durability::kPowerLoss;
  if (status.ok() && durable && fsync(fd) != 0) status = absl::ErrnoToStatus(errno, "fsync");
  // Some file systems tell of a full disk only here.
  if (close(fd) != 0 && status.ok()) status = absl::ErrnoToStatus(errno, "close");
  if (status.ok() && rename(part.c_str(), path.c_str()) != 0) {
    status = absl::ErrnoToStatus(errno, "rename");
  }
  if (!status.ok()) {
    unlink(part.c_str());
    return absl::Status(status.code(), absl::StrCat("cannot write ", path, ": ", status.message()));
  }
  return durable ? SyncDirectory(path_) : absl::OkStatus();
}

absl::StatusOr<ProcessRecord> RecordDirectory::Read(const std::string& id) const {
  const auto text = ReadSmallFile(absl::StrCat(path_, "/", id, kRecordSuffix));
  if (!text.ok()) return text.status();
  if (auto record = ParseRecord(id, *text)) return *std::move(record);
  ProcessRecord damaged;
  damaged.id = id;
  damaged.exit_reason = "its record was damaged";
  return damaged;
}

absl::Status RecordDirectory::Remove(const std::string& id) const {
  const std::string record = absl::StrCat(path_, "/", id, kRecordSuffix);
  // The record last: while it is there, the rest is known to be ours to remove.
  for (const std::string& path :
       {absl::StrCat(record, kPartSuffix), LogPath(id), ExitPath(id), record}) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot remove ", path));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> RecordDirectory::Ids() const {
  DIR* directory = opendir(path_.c_str());
  if (directory == nullptr) return absl::ErrnoToStatus(errno, absl::StrCat("cannot list ", path_));
  std::vector<std::string> ids;
  errno = 0;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    // By the log too: a directory being listed may miss a record that is replaced just then.
    for (const std::string_view suffix : {std::string_view(kRecordSuffix), kLogSuffix}) {
      if (!name.ends_with(suffix)) continue;
      const std::string_view id = name.substr(0, name.size() - suffix.size());
      if (IsId(id)) ids.emplace_back(id);
    }
    errno = 0;
  }
  const int error = errno;
  closedir(directory);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot list ", path_));
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

absl::StatusOr<std::set<int>> RecordDirectory::Ports() const {
  const auto ids = Ids();
  if (!ids.ok()) return ids.status();
  std::set<int> ports;
  for (const std::string& id : *ids) {
    const auto record = Read(id);
    if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
    if (record.ok()) ports.insert(record->port);
  }
  return ports;
}

absl::StatusOr<std::set<uid_t>> RecordDirectory::Uids() const {
  const auto ids = Ids();
  if (!ids.ok()) return ids.status();
  std::set<uid_t> uids = {geteuid()};
  for (const std::string& id : *ids) {
    const auto record = Read(id);
    if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
    if (record.ok() && record->uid.has_value()) uids.insert(*record->uid);
  }
  return uids;
}

std::string RecordDirectory::LogPath(const std::string& id) const {
  return absl::StrCat(path_, "/", id, std::string(kLogSuffix));
}

std::string RecordDirectory::ExitPath(const std::string& id) const {
  return absl::StrCat(path_, "/", id, std::string(kExitSuffix));
}

}  // namespace shadow
