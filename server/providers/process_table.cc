#include "server/providers/process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace shadow {
namespace {

constexpr size_t kMaxThreads = 65536;

// Positions in /proc/PID/stat, counted from the state, which follows the name in parentheses.
constexpr size_t kStateField = 0;
constexpr size_t kParentField = 1;
constexpr size_t kGroupField = 2;
constexpr size_t kSessionField = 3;
constexpr size_t kNiceField = 16;
constexpr size_t kThreadsField = 17;
constexpr size_t kStartField = 19;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

// What is not said of the file by it: absl takes some of these for more.
absl::Status ReadError(int error, const char* verb, const std::string& path) {
  if (error == ENOENT || error == ESRCH) {
    return absl::NotFoundError(absl::StrCat("there is no ", path));
  }
  const absl::Status status = absl::ErrnoToStatus(error, absl::StrCat("cannot ", verb, " ", path));
  if (error == EACCES || error == EPERM || !absl::IsNotFound(status)) return status;
  return absl::UnavailableError(status.message());
}

// The numeric names in a directory, ascending as the kernel lists them.
absl::StatusOr<std::vector<pid_t>> Numbers(const std::string& path, size_t limit) {
  const Directory directory(opendir(path.c_str()));
  if (!directory) return ReadError(errno, "list", path);
  std::vector<pid_t> numbers;
  errno = 0;
  while (const dirent* entry = readdir(directory.get())) {
    pid_t number = 0;
    if (absl::SimpleAtoi(entry->d_name, &number)) numbers.push_back(number);
    if (numbers.size() > limit) {
      return absl::ResourceExhaustedError(absl::StrCat(path, " has more than ", limit, " entries"));
    }
    errno = 0;
  }
  if (errno != 0) return ReadError(errno, "list", path);
  return numbers;
}

}  // namespace

std::optional<ProcessStat> ParseProcessStat(pid_t pid, std::string_view text) {
  const size_t name_end = text.rfind(')');  // The name itself may hold anything.
  if (name_end == std::string_view::npos || name_end + 2 >= text.size()) return std::nullopt;
  text.remove_prefix(name_end + 2);
  const std::vector<std::string> fields =
      absl::StrSplit(absl::string_view(text.data(), text.size()), ' ');
  if (fields.size() <= kStartField || fields[kStateField].empty()) return std::nullopt;
  ProcessStat stat;
  stat.id.pid = pid;
  stat.state = fields[kStateField][0];
  const bool parsed = absl::SimpleAtoi(fields[kParentField], &stat.parent) &&
                      absl::SimpleAtoi(fields[kGroupField], &stat.group) &&
                      absl::SimpleAtoi(fields[kSessionField], &stat.session) &&
                      absl::SimpleAtoi(fields[kNiceField], &stat.nice) &&
                      absl::SimpleAtoi(fields[kThreadsField], &stat.threads) &&
                      absl::SimpleAtoi(fields[kStartField], &stat.id.start_ticks);
  if (!parsed) return std::nullopt;
  return stat;
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return ReadError(errno, "open", path);
  std::string text;
  std::array<char, 8192> buffer{};
  ssize_t got = 0;
  while (text.size() < max_bytes) {
    got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  const int error = errno;
  close(fd);
  if (got < 0) return ReadError(error, "read", path);
  return text;
}

bool IsIncomplete(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status) ||
         absl::IsUnknown(status) || absl::IsInternal(status) || absl::IsAborted(status);
}

absl::StatusOr<ProcessStat> ReadProcessStat(pid_t pid) {
  const auto text = ReadSmallFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!text.ok()) return text.status();
  const std::optional<ProcessStat> stat = ParseProcessStat(pid, *text);
  if (!stat) return absl::InternalError(absl::StrCat("/proc/", pid, "/stat is not understood"));
  return *stat;
}

absl::StatusOr<std::vector<ProcessStat>> ReadProcessTable() {
  constexpr size_t kMaxProcesses = 1 << 22;  // The kernel's own limit of pid_max.
  const auto pids = Numbers("/proc", kMaxProcesses);
  if (!pids.ok()) return pids.status();
  std::vector<ProcessStat> table;
  table.reserve(pids->size());
  for (const pid_t pid : *pids) {
    const auto stat = ReadProcessStat(pid);
    // Another user's may be hidden (hidepid), and is none of ours.
    if (absl::IsNotFound(stat.status()) || absl::IsPermissionDenied(stat.status())) continue;
    if (!stat.ok()) return stat.status();
    table.push_back(*stat);
  }
  const auto by_pid = [](const ProcessStat& a, const ProcessStat& b) {
    return a.id.pid < b.id.pid;
  };
  std::sort(table.begin(), table.end(), by_pid);
  for (ProcessStat& process : table) {
    ProcessStat parent;
    parent.id.pid = process.parent;
    if (process.parent == 0 || std::binary_search(table.begin(), table.end(), parent, by_pid))
      continue;
    // It was read after this one, and had ended by then.
    const auto now = ReadProcessStat(process.id.pid);
    if (now.ok() && now->id == process.id) process = *now;
  }
  return table;
}

ProcessTree::ProcessTree(const std::vector<ProcessStat>& table) {
  for (const ProcessStat& process : table) {
    ids_.emplace(process.id.pid, process.id);
    by_parent_.emplace(process.parent, process);
  }
}

std::vector<ProcessStat> ProcessTree::Below(const ProcessId& root) const {
  std::vector<ProcessStat> below;
  const auto found = ids_.find(root.pid);
  if (found == ids_.end() || found->second != root) return below;
  pid_t parent = root.pid;
  for (size_t next = 0;; parent = below[next++].id.pid) {
    const auto [first, last] = by_parent_.equal_range(parent);
    for (auto child = first; child != last; ++child) {
      if (child->second.id != root) below.push_back(child->second);
    }
    if (next == below.size()) return below;
  }
}

absl::StatusOr<std::vector<pid_t>> ReadThreads(pid_t pid) {
  auto threads = Numbers(absl::StrCat("/proc/", pid, "/task"), kMaxThreads);
  if (absl::IsNotFound(threads.status())) return std::vector<pid_t>();
  return threads;
}

absl::StatusOr<bool> IsStopped(pid_t pid) {
  const auto threads = ReadThreads(pid);
  if (!threads.ok()) return threads.status();
  for (const pid_t thread : *threads) {
    const std::string path = absl::StrCat("/proc/", pid, "/task/", thread, "/stat");
    const auto text = ReadSmallFile(path);
    if (absl::IsNotFound(text.status())) continue;
    if (!text.ok()) return text.status();
    const std::optional<ProcessStat> stat = ParseProcessStat(thread, *text);
    if (!stat) return absl::InternalError(absl::StrCat(path, " is not understood"));
    if (std::string_view("TtZX").find(stat->state) == std::string_view::npos) return false;
  }
  return true;
}

absl::StatusOr<std::string> ReadEnvironment(pid_t pid) {
  auto environment = ReadSmallFile(absl::StrCat("/proc/", pid, "/environ"));
  const absl::Status& status = environment.status();
  // kUnknown is EIO: it has no memory there any more, which is in its own hands.
  const bool hidden = absl::IsPermissionDenied(status) || absl::IsUnknown(status);
  if (absl::IsNotFound(status) || hidden) return std::string();
  return environment;
}

std::string_view EnvironmentValue(std::string_view environment, std::string_view name) {
  while (!environment.empty()) {
    const std::string_view entry = environment.substr(0, environment.find('\0'));
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name)) {
      return entry.substr(name.size() + 1);
    }
    environment.remove_prefix(std::min(entry.size() + 1, environment.size()));
  }
  return {};
}

std::string BootId() {
  // It cannot change while this process lives.
  static const std::string kId = [] {
    const auto text = ReadSmallFile("/proc/sys/kernel/random/boot_id");
    return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : std::string();
  }();
  return kId;
}

}  // namespace shadow
