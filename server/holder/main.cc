// shadow-holder: stands between the daemon and one instance, for as long as anything of it lives.
//
// It is the subreaper of the instance: whatever that starts, in whatever session and environment,
// stays below the holder in the process tree. It copies the instance's output into a log that never
// exceeds its bound, with or without a daemon, and drops what the disk has no room for: an instance
// never waits for the disk to have some. When the first process of the instance has ended, the
// holder notes how, ends what is left of it (SIGTERM to each, SIGKILL after a grace), and ends when
// the kernel knows no descendant any more.
//
// Every signal is blocked: only SIGKILL ends a holder early. There is one for each instance, so it
// is linked statically and allocates nothing but the list of what it has told to end.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "server/holder/bounded_log.h"
#include "server/holder/children.h"
#include "server/holder/interface.h"

namespace shadow {
namespace {

constexpr size_t kReadBytes = 16 * 1024;
constexpr int kLastReads = 64;  // After an end: 1 MiB, should somebody go on writing.
constexpr time_t kGraceSeconds = 5;
constexpr int kRescanMs = 20;
constexpr int kKillsAtOnce = 100;  // So that what forks all the time is caught between two forks.

class Holder {
 public:
  Holder(pid_t first, off_t log_max_bytes) : first_(first), log_max_bytes_(log_max_bytes) {}

  // Returns when nothing is left below.
  void Run();

 private:
  // False: there is nothing to read now.
  bool CopyOutput();
  void CopyLastOutput();
  // False: there is no child any more.
  bool Reap();
  void OnFirstEnded(int status);
  void EndOthers();

  const pid_t first_;  // The instance's first process.
  const off_t log_max_bytes_;
  pollfd output_ = {.fd = kHolderOutputFd, .events = POLLIN, .revents = 0};
  pollfd children_ = {.fd = -1, .events = POLLIN, .revents = 0};
  pollfd grace_ = {.fd = -1, .events = POLLIN, .revents = 0};
  bool ended_ = false;       // The first process has.
  bool grace_over_ = false;  // Others get SIGKILL.
  std::vector<pid_t> told_;  // Children that got SIGTERM.
  std::array<char, kReadBytes> buffer_;
};

void Holder::Run() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  children_.fd = signalfd(-1, &awaited, SFD_NONBLOCK | SFD_CLOEXEC);
  fcntl(kHolderOutputFd, F_SETFL, O_NONBLOCK);
  while (Reap()) {
    if (ended_) EndOthers();
    std::array<pollfd, 3> events = {output_, children_, grace_};
    // Without a descriptor that tells of children, they are looked at again and again.
    const bool looks_again = ended_ || children_.fd < 0;
    if (poll(events.data(), events.size(), looks_again ? kRescanMs : -1) < 0) continue;
    if (events[0].revents != 0) CopyOutput();
    std::array<signalfd_siginfo, 16> infos;
    while (events[1].revents != 0 && read(children_.fd, infos.data(), sizeof(infos)) > 0) {
    }
    if (events[2].revents != 0) {
      grace_over_ = true;
      grace_.fd = -1;
    }
  }
  CopyLastOutput();
}

bool Holder::CopyOutput() {
  if (output_.fd < 0) return false;
  const size_t wanted = std::min<size_t>(buffer_.size(), static_cast<size_t>(log_max_bytes_ / 2));
  const ssize_t got = read(output_.fd, buffer_.data(), wanted);
  if (got > 0) {
    AppendToLog(kHolderLogFd, buffer_.data(), static_cast<size_t>(got), log_max_bytes_);
    return true;
  }
  if (got < 0) return false;  // An instance whose output cannot be read now goes on.
  close(output_.fd);          // Nobody has the other end any more.
  output_.fd = -1;
  return false;
}

void Holder::CopyLastOutput() {
  for (int reads = 0; reads < kLastReads && CopyOutput(); ++reads) {
  }
}

bool Holder::Reap() {
  int status = 0;
  pid_t child = 0;
  while ((child = waitpid(-1, &status, WNOHANG)) > 0) {
    if (child == first_) OnFirstEnded(status);
    std::erase(told_, child);
  }
  return child == 0 || errno != ECHILD;
}

void Holder::OnFirstEnded(int status) {
  CopyLastOutput();  // Whoever reads how it ended reads its last words too.
  std::array<char, kExitFileBytes> text;
  std::fill(text.begin(), text.end(), ' ');
  const bool killed = WIFSIGNALED(status);
  const int length = snprintf(text.data(), text.size(), "%s %d", killed ? "killed" : "exited",
                              killed ? WTERMSIG(status) : WEXITSTATUS(status));
  text[static_cast<size_t>(length)] = ' ';
  text.back() = '\n';
  size_t noted = 0;
  while (noted < text.size()) {
    const ssize_t written =
        pwrite(kHolderExitFd, text.data() + noted, text.size() - noted, static_cast<off_t>(noted));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;  // It has ended all the same.
    noted += static_cast<size_t>(written);
  }
  close(kHolderExitFd);  // Whoever watches the file hears of it now.
  ended_ = true;
  grace_.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  const itimerspec grace = {.it_interval = {}, .it_value = {.tv_sec = kGraceSeconds, .tv_nsec = 0}};
  if (timerfd_settime(grace_.fd, 0, &grace, nullptr) != 0) grace_over_ = true;
}

// What a process leaves behind when it ends becomes a child, and is told then.
void Holder::EndOthers() {
  if (!grace_over_) {
    ForEachChild([this](pid_t child) {
      if (std::find(told_.begin(), told_.end(), child) != told_.end()) return;
      kill(child, SIGTERM);
      kill(child, SIGCONT);  // It may have been suspended.
      told_.push_back(child);
    });
    return;
  }
  for (int i = 0; i < kKillsAtOnce && Reap(); ++i) {
    ForEachChild([](pid_t child) { kill(child, SIGKILL); });
  }
}

}  // namespace
}  // namespace shadow

int main(int count, char** arguments) {
  if (count != 3) {
    fputs("shadow-holder is started by shadowd\n", stderr);
    return 2;
  }
  const auto first = static_cast<pid_t>(strtol(arguments[1], nullptr, 10));
  const auto log_max_bytes = static_cast<off_t>(strtoll(arguments[2], nullptr, 10));
  static shadow::Holder holder(first, log_max_bytes);
  holder.Run();
  _exit(0);  // What a sanitizer does at an exit would wait for signals that are blocked here.
}
