// A forked child that a test may kill, and a pipe from it.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <functional>

namespace shadow {

// Fork it while no other thread is there: the child has only the one that forked.
class ChildProcess {
 public:
  // Runs `body(fd)` in the child, which reports by writing 8-byte numbers to `fd`, then exits with
  // what it returns. No Catch macros in there.
  explicit ChildProcess(const std::function<int(int)>& body) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      _exit(body(ends[1]));
    }
    close(ends[1]);
    fd_ = ends[0];
    REQUIRE(pid_ > 0);
  }
  ~ChildProcess() {
    Kill();
    close(fd_);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }

  static bool Report(int fd, int64_t number) {
    return write(fd, &number, sizeof number) == sizeof number;
  }

  // The next number; false once the child is gone and all was read.
  bool Receive(int64_t& number) { return read(fd_, &number, sizeof number) == sizeof number; }

  // kill -9, until it is gone.
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  int fd_ = -1;
};

}  // namespace shadow
