// Runs a program to its end and keeps what it said.
#pragma once

#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/fakes/poll.h"

namespace shadow {

struct ProgramResult {
  int exit_code = -1;  // -1: ended by a signal, or killed after kProgramTimeout.
  std::string out;
  std::string err;
};

struct ProgramInput {
  std::string text;  // Standard input.
  uid_t uid = 0;     // Other than 0: as this user and group, which needs root.
};

inline constexpr absl::Duration kProgramTimeout = absl::Seconds(60);

// A file in memory: needs no reader, so that no pipe can fill up.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& text = "") : fd_(memfd_create("program", MFD_CLOEXEC)) {
    if (fd_ < 0 || write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        lseek(fd_, 0, SEEK_SET) != 0) {
      throw std::runtime_error("memfd_create");
    }
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(fd_); }

  int fd() const { return fd_; }
  std::string Text() const {
    std::string text(static_cast<size_t>(lseek(fd_, 0, SEEK_END)), '\0');
    if (pread(fd_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) return "";
    return text;
  }

 private:
  int fd_;
};

// `argv`[0] is a path. Throws std::runtime_error where the machine is out of processes. Any thread.
inline ProgramResult RunProgram(std::vector<std::string> argv, const ProgramInput& input = {}) {
  const MemoryFile in(input.text);
  const MemoryFile out;
  const MemoryFile err;
  std::vector<char*> arguments;
  for (std::string& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("cannot fork");
  if (pid == 0) {
    dup2(in.fd(), 0);
    dup2(out.fd(), 1);
    dup2(err.fd(), 2);
    const bool dropped = input.uid == 0 || (setgroups(0, nullptr) == 0 && setgid(input.uid) == 0 &&
                                            setuid(input.uid) == 0);
    if (dropped) execv(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  const auto ended = [&] { return waitpid(pid, &status, WNOHANG) == pid; };
  if (!PollUntil(kProgramTimeout, ended)) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          .out = out.Text(),
          .err = err.Text()};
}

}  // namespace shadow
