#include "server/providers/look/process_look.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/core/text.h"
#include "server/holder/interface.h"
#include "server/providers/look/process_members.h"
#include "server/providers/process_log.h"
#include "server/providers/process_signals.h"
#include "server/units/secret_files.h"

namespace shadow {
namespace {

constexpr absl::Duration kExitPatience = absl::Milliseconds(200);
constexpr absl::Duration kExitPollInterval = absl::Milliseconds(2);

// ParseExit of a file; empty also where there is none.
absl::StatusOr<std::string> ReadExit(const std::string& path) {
  const auto text = ReadSmallFile(path, kExitFileBytes);
  if (absl::IsNotFound(text.status())) return std::string();
  if (!text.ok()) return text.status();
  return ParseExit(*text);
}

bool Lives(const std::optional<ProcessStat>& process) {
  return process.has_value() && !process->IsDead();
}

absl::StatusOr<bool> IsAsleep(const ProcessRecord& record, const ProcessTree& tree) {
  const auto leader = ReadLeader(record);
  if (!leader.ok()) return leader.status();
  const bool stopped = leader->has_value() && ((*leader)->state == 'T' || (*leader)->state == 't');
  if (!stopped || !record.holder.has_value()) return stopped;
  const auto runs = AnyRuns(tree.Below(*record.holder));
  if (!runs.ok()) return runs.status();
  return !*runs;
}

// By a signal from somebody else, all of it. One that a debugger holds is not.
absl::StatusOr<bool> IsWhollyStopped(const ProcessRecord& record, const ProcessTree& tree) {
  if (!record.holder.has_value()) return false;
  const std::vector<ProcessStat> below = tree.Below(*record.holder);
  const ProcessStat* const leader = FindProcess(below, record.leader);
  if (leader == nullptr || leader->state != 'T') return false;
  const auto runs = AnyRuns(below);
  if (!runs.ok()) return runs.status();
  return !*runs;
}

}  // namespace

std::string ParseExit(std::string_view text) {
  const std::pair<std::string, std::string> words =
      absl::StrSplit(absl::StripAsciiWhitespace(Absl(text)), absl::MaxSplits(' ', 1));
  int number = 0;
  if (!absl::SimpleAtoi(words.second, &number)) return "";
  if (words.first == "exited") return absl::StrCat("exit status ", number);
  if (words.first != "killed") return "";
  const char* const name = sigabbrev_np(number);
  return name != nullptr ? absl::StrCat("killed by SIG", name)
                         : absl::StrCat("killed by signal ", number);
}

absl::StatusOr<int> OpenExitFile(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot remove ", path));
  }
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  const std::string blank = std::string(kExitFileBytes - 1, ' ') + "\n";
  const ssize_t written = write(fd, blank.data(), blank.size());
  if (written == static_cast<ssize_t>(blank.size())) return fd;
  const absl::Status status =
      absl::ErrnoToStatus(written < 0 ? errno : ENOSPC, absl::StrCat("cannot write ", path));
  close(fd);
  return status;
}

absl::StatusOr<std::optional<std::string>> HowItEnded(const ProcessRecord& record,
                                                      const std::string& exit_path, Clock& clock) {
  const auto leader = ReadLeader(record);
  if (!leader.ok()) return leader.status();
  const bool leader_lives = Lives(*leader);
  if (!record.holder.has_value()) {
    if (leader_lives) return std::nullopt;
    return record.exit_reason.empty() ? "exited" : record.exit_reason;
  }
  const absl::Duration deadline = clock.Now().mono + kExitPatience;
  while (true) {
    // The holder is looked at first: it notes an end before its own.
    const auto holder = ReadHolder(record);
    if (!holder.ok()) return holder.status();
    const bool holder_lives = Lives(*holder);
    if (holder_lives && (*holder)->state == 'T') {
      const absl::Status sent = SendSignal(*record.holder, SIGCONT);
      if (!sent.ok() && !absl::IsNotFound(sent)) return sent;
    }
    if (leader_lives && holder_lives) return std::nullopt;
    const auto noted = ReadExit(exit_path);
    if (!noted.ok()) return noted.status();
    if (!noted->empty()) return *noted;
    if (!holder_lives) return leader_lives ? "its holder was killed" : "exited";
    if (clock.Now().mono >= deadline) return "exited";
    Pause(clock, kExitPollInterval);
  }
}

absl::StatusOr<Observation> ObserveInstance(const ProcessRecord& record,
                                            const std::string& exit_path, const ProcessTree& tree,
                                            Clock& clock) {
  Observation seen;
  seen.id = record.id;
  seen.epoch = record.epoch;
  seen.address = record.Address();
  seen.handle = absl::StrCat("pid ", record.leader.pid);
  if (record.stopping) {
    seen.life = Life::kStopping;
    return seen;
  }
  auto end = HowItEnded(record, exit_path, clock);
  if (!end.ok()) return end.status();
  if (end->has_value()) {
    seen.life = Life::kExited;
    seen.exit_reason = **std::move(end);
    return seen;
  }
  const auto asleep = record.suspended ? IsAsleep(record, tree) : IsWhollyStopped(record, tree);
  if (!asleep.ok()) return asleep.status();
  seen.life = *asleep ? Life::kSuspended : Life::kRunning;
  return seen;
}

std::string WithLastOutput(const std::string& reason, const ProcessRecord& record,
                           const std::string& log_path, const CompiledDna* dna) {
  std::vector<std::string> secrets;
  if (record.has_secrets) {
    auto known = dna == nullptr ? std::nullopt
                                : SecretsGivenAt(dna->dna.security(),
                                                 absl::FromUnixNanos(record.create_time_unix_ns));
    if (!known) return reason + "; last output withheld: it may show a secret";
    secrets = *std::move(known);
  }
  const std::string output = LastOutput(log_path, secrets);
  return output.empty() ? reason : absl::StrCat(reason, "; last output: ", output);
}

}  // namespace shadow
