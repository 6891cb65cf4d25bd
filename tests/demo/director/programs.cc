#include "tests/demo/director/programs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace shadow::demo {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(20);
constexpr absl::Duration kKillTimeout = absl::Seconds(5);
constexpr size_t kErrorTailBytes = 800;

// Also when interrupted: what is to be stopped is waited for.
void Pause() { poll(nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(kPollInterval))); }

}  // namespace

absl::StatusOr<std::unique_ptr<Program>> Program::Start(const std::vector<std::string>& argv,
                                                        const std::string& log_file) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log_file.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t no_signals;
  sigemptyset(&no_signals);
  posix_spawnattr_setsigmask(&attributes, &no_signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);

  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      posix_spawnp(&pid, arguments[0], &files, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return absl::NotFoundError(absl::StrCat("cannot run ", argv[0], ": ", std::strerror(error)));
  }
  return std::unique_ptr<Program>(
      new Program(pid, std::filesystem::path(argv[0]).filename().string()));
}

Program::~Program() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool Program::Running() {
  if (pid_ < 0) return false;
  if (waitpid(pid_, &wait_status_, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

std::string Program::Description() const {
  if (WIFSIGNALED(wait_status_)) return absl::StrCat("signal ", WTERMSIG(wait_status_));
  return absl::StrCat("exit status ", WEXITSTATUS(wait_status_));
}

absl::Status Program::Stop(absl::Duration timeout, const Clock& clock) {
  if (pid_ < 0 && wait_status_ == 0) return absl::OkStatus();
  if (pid_ >= 0) kill(pid_, SIGTERM);
  const absl::Duration deadline = clock.Now().mono + timeout;
  while (Running() && clock.Now().mono < deadline) Pause();
  if (Running()) {
    kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, -1), &wait_status_, 0);
    return absl::DeadlineExceededError(
        absl::StrCat(name_, " did not end within ", absl::FormatDuration(timeout), "; killed"));
  }
  if (wait_status_ == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(name_, " ended with ", Description()));
}

absl::StatusOr<std::string> RunToEnd(const std::vector<std::string>& argv,
                                     const std::string& log_file, absl::Duration timeout,
                                     const Clock& clock, Interrupt& interrupt) {
  absl::StatusOr<std::unique_ptr<Program>> program = Program::Start(argv, log_file);
  if (!program.ok()) return program.status();
  const absl::Duration deadline = clock.Now().mono + timeout;
  while ((*program)->Running()) {
    if (interrupt.Wait(kPollInterval)) return absl::CancelledError("interrupted");
    if (clock.Now().mono >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(argv[0], " did not end within ",
                                                      absl::FormatDuration(timeout), ": ",
                                                      FileTail(log_file, kErrorTailBytes)));
    }
  }
  if (absl::Status status = (*program)->Stop(kKillTimeout, clock); !status.ok()) {
    std::string command;
    for (const std::string& argument : argv) absl::StrAppend(&command, argument, " ");
    return absl::InternalError(absl::StrCat(command, ": ", std::string(status.message()), ": ",
                                            FileTail(log_file, kErrorTailBytes)));
  }
  std::ifstream file(log_file);
  std::ostringstream output;
  output << file.rdbuf();
  return output.str();
}

std::vector<pid_t> ProcessesWithEnvironment(std::string_view entry) {
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(item.path().filename().string(), &pid)) continue;
    std::ifstream file(item.path() / "environ");
    for (std::string line; std::getline(file, line, '\0');) {
      if (line == entry) {
        pids.push_back(pid);
        break;
      }
    }
  }
  return pids;
}

size_t KillProcessesWithEnvironment(std::string_view entry, absl::Duration timeout,
                                    const Clock& clock) {
  const absl::Duration deadline = clock.Now().mono + timeout;
  std::vector<pid_t> pids = ProcessesWithEnvironment(entry);
  const size_t found = pids.size();
  while (!pids.empty() && clock.Now().mono < deadline) {
    for (const pid_t pid : pids) kill(pid, SIGKILL);
    Pause();
    pids = ProcessesWithEnvironment(entry);
  }
  return found;
}

std::string FileTail(const std::string& path, size_t bytes_max) {
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  std::string text = content.str();
  if (text.size() > bytes_max) text.erase(0, text.size() - bytes_max);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace shadow::demo
