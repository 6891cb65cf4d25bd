#include "server/providers/process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

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

std::optional<ProcessStat> Parse(pid_t pid, std::string_view text) {
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

// The numeric names in a directory, ascending as the kernel lists them.
absl::StatusOr<std::vector<pid_t>> Numbers(const std::string& path, size_t limit) {
  const Directory directory(opendir(path.c_str()));
  if (!directory) return absl::ErrnoToStatus(errno, absl::StrCat("cannot list ", path));
  std::vector<pid_t> numbers;
  while (const dirent* entry = readdir(directory.get())) {
    pid_t number = 0;
    if (absl::SimpleAtoi(entry->d_name, &number)) numbers.push_back(number);
    if (numbers.size() > limit) {
      return absl::ResourceExhaustedError(absl::StrCat(path, " has more than ", limit, " entries"));
    }
  }
  return numbers;
}

}  // namespace

absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
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
  if (got < 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path));
  return text;
}

absl::StatusOr<ProcessStat> ReadProcessStat(pid_t pid) {
  const auto text = ReadSmallFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!text.ok()) return absl::NotFoundError(absl::StrCat("there is no process ", pid));
  const std::optional<ProcessStat> stat = Parse(pid, *text);
  if (!stat) return absl::NotFoundError(absl::StrCat("/proc/", pid, "/stat is not readable"));
  return *stat;
}

absl::StatusOr<std::vector<ProcessStat>> ReadProcessTable() {
  constexpr size_t kMaxProcesses = 1 << 22;  // The kernel's own limit of pid_max.
  const auto pids = Numbers("/proc", kMaxProcesses);
  if (!pids.ok()) return pids.status();
  std::vector<ProcessStat> table;
  table.reserve(pids->size());
  for (const pid_t pid : *pids) {
    if (const auto stat = ReadProcessStat(pid); stat.ok()) table.push_back(*stat);
  }
  return table;
}

std::vector<pid_t> ReadThreads(pid_t pid) {
  const auto threads = Numbers(absl::StrCat("/proc/", pid, "/task"), kMaxThreads);
  return threads.ok() ? *threads : std::vector<pid_t>();
}

bool IsStopped(pid_t pid) {
  for (const pid_t thread : ReadThreads(pid)) {
    const auto text = ReadSmallFile(absl::StrCat("/proc/", pid, "/task/", thread, "/stat"));
    if (!text.ok()) continue;
    const std::optional<ProcessStat> stat = Parse(thread, *text);
    if (stat && std::string_view("TtZX").find(stat->state) == std::string_view::npos) return false;
  }
  return true;
}

std::string ReadEnvironment(pid_t pid) {
  return ReadSmallFile(absl::StrCat("/proc/", pid, "/environ")).value_or("");
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
