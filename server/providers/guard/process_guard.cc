#include "server/providers/guard/process_guard.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/holder/children.h"

namespace shadow {
namespace {

constexpr int kPauseMs = 1;

// What a child leaves behind becomes a child itself, so this ends with the last descendant.
void KillDescendants() {
  while (true) {
    ForEachChild([](pid_t child) { kill(child, SIGKILL); });
    pid_t ended = 0;
    do {
      ended = waitpid(-1, nullptr, WNOHANG);
    } while (ended > 0);
    if (ended < 0) return;  // ECHILD.
    poll(nullptr, 0, kPauseMs);
  }
}

[[noreturn]] void WatchOver(pid_t child, pid_t parent, const sigset_t& awaited) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  prctl(PR_SET_NAME, "shadowd-guard");
  bool over = getppid() != parent;
  syscall(SYS_close_range, 0, ~0U, 0);  // Others read an end of file when the child has no more.
  while (!over) {
    if (sigwaitinfo(&awaited, nullptr) == SIGTERM) break;
    for (pid_t ended = 0; (ended = waitpid(-1, nullptr, WNOHANG)) > 0;) over |= ended == child;
  }
  KillDescendants();
  _exit(0);
}

}  // namespace

bool SplitOffGuard(pid_t parent) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t awaited;
  sigset_t before;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  sigaddset(&awaited, SIGTERM);
  sigprocmask(SIG_BLOCK, &awaited, &before);
  const pid_t guard = getpid();
  const pid_t child = _Fork();
  if (child < 0) return false;
  if (child > 0) WatchOver(child, parent, awaited);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != guard) _exit(0);
  return true;
}

}  // namespace shadow
