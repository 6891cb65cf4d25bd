#include "server/providers/guard/guarded_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr absl::Duration kRunSlice = absl::Milliseconds(20);
constexpr absl::Duration kGuardPatience = absl::Seconds(2);

absl::Status Unread(int error) {
  return absl::UnavailableError(
      absl::StrCat("cannot read its output: ", absl::ErrnoToStatus(error, "").ToString()));
}

// Its number is ours until it is reaped.
void EndGuard(pid_t pid, Clock& clock) {
  kill(pid, SIGTERM);
  const absl::Duration deadline = clock.Now().mono + kGuardPatience;
  while (waitpid(pid, nullptr, WNOHANG) == 0) {
    if (clock.Now().mono >= deadline) {  // Something below it cannot be killed now.
      kill(pid, SIGKILL);
      while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
      return;
    }
    poll(nullptr, 0, 1);
  }
}

}  // namespace

absl::StatusOr<std::string> RunToEnd(SpawnSpec plan, Clock& clock, absl::Duration timeout,
                                     size_t output_max_bytes, const std::stop_token& stop) {
  std::array<int, 2> output = {-1, -1};
  if (pipe2(output.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return absl::ErrnoToStatus(errno, "cannot make a pipe");
  }
  const absl::Cleanup close_output = [&] {
    close(output[0]);
    if (output[1] >= 0) close(output[1]);
  };
  // Our end must not block; the instance's may.
  fcntl(output[1], F_SETFL, 0);
  plan.output_fd = output[1];
  plan.guarded = true;
  auto held = HeldProcess::Spawn(plan);
  if (!held.ok()) return held.status();
  if (absl::Status released = held->Release(); !released.ok()) return released;
  close(std::exchange(output[1], -1));

  const pid_t pid = held->id().pid;
  const absl::Duration deadline = clock.Now().mono + timeout;
  std::string text;
  absl::Status verdict;
  std::array<char, 4096> buffer{};
  bool ended = false;
  for (bool last_read = false; !last_read;) {
    siginfo_t info{};
    ended = waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == pid;
    last_read = ended;
    if (!ended && stop.stop_requested()) verdict = absl::CancelledError("stopped");
    if (!ended && clock.Now().mono >= deadline) {
      verdict = absl::DeadlineExceededError("no end after " + absl::FormatDuration(timeout));
    }
    if (!verdict.ok()) break;
    pollfd readable{.fd = output[0], .events = POLLIN, .revents = 0};
    const int slice_ms = ended ? 0 : static_cast<int>(absl::ToInt64Milliseconds(kRunSlice));
    if (poll(&readable, 1, slice_ms) < 0 && errno != EINTR) verdict = Unread(errno);
    ssize_t got = 0;
    // At most what a pipe holds at a time, so that the deadline is looked at again.
    for (int reads = 0; reads < 16; ++reads) {
      got = read(output[0], buffer.data(), buffer.size());
      if (got < 0 && errno != EAGAIN && errno != EINTR) verdict = Unread(errno);
      if (got <= 0) break;
      const size_t room = output_max_bytes - text.size();
      text.append(buffer.data(), std::min(room, static_cast<size_t>(got)));
    }
  }
  EndGuard(pid, clock);
  if (!verdict.ok()) return verdict;
  return text;
}

}  // namespace shadow
