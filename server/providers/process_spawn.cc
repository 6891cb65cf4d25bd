#include "server/providers/process_spawn.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/providers/guard/process_guard.h"

namespace shadow {
namespace {

// --- The child, between fork and exec: system calls only; no allocation, no lock. ---

enum class ChildStep {
  kSession,
  kLimit,
  kUser,
  kCapabilities,
  kNoNewPrivileges,
  kDirectory,
  kExec
};

// What the child writes to its error pipe before it exits.
struct ChildFailure {
  ChildStep step = ChildStep::kSession;
  size_t index = 0;  // kLimit: which one.
  int error = 0;     // errno
};

struct ChildSetup {
  const SpawnPlan& plan;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  int null_fd = -1;
  int go_fd = -1;
  int error_fd = -1;
  pid_t parent = 0;
  CapabilityMask own_capabilities = 0;  // Effective, of the parent.
};

constexpr int kGoFd = 3;
constexpr int kErrorFd = 4;
constexpr int kFirstFreeFd = 5;
constexpr int kAboveAllOfThem = 10;
constexpr int kNotExecuted = 127;  // As a shell says it.
constexpr int kSignals = 64;
constexpr mode_t kUmask = 022;

[[noreturn]] void Fail(ChildStep step, size_t index = 0) {
  const ChildFailure failure{.step = step, .index = index, .error = errno};
  [[maybe_unused]] const ssize_t written = write(kErrorFd, &failure, sizeof(failure));
  _exit(kNotExecuted);
}

void ResetSignals() {
  struct sigaction reset {};
  reset.sa_handler = SIG_DFL;
  for (int number = 1; number <= kSignals; ++number) sigaction(number, &reset, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Leaves 0, 1, 2 and the two pipes open. Nobody hears of a failure before they are in place.
void ArrangeDescriptors(const ChildSetup& setup) {
  const int null_fd = fcntl(setup.null_fd, F_DUPFD, kAboveAllOfThem);
  const int output_fd = fcntl(setup.plan.output_fd, F_DUPFD, kAboveAllOfThem);
  const int go_fd = fcntl(setup.go_fd, F_DUPFD, kAboveAllOfThem);
  const int error_fd = fcntl(setup.error_fd, F_DUPFD, kAboveAllOfThem);
  if (null_fd < 0 || output_fd < 0 || go_fd < 0 || error_fd < 0) _exit(kNotExecuted);
  if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
      dup2(output_fd, STDERR_FILENO) < 0 || dup2(go_fd, kGoFd) < 0 ||
      dup3(error_fd, kErrorFd, O_CLOEXEC) < 0) {
    _exit(kNotExecuted);
  }
  if (syscall(SYS_close_range, kFirstFreeFd, ~0U, 0) != 0) Fail(ChildStep::kSession);
}

void AwaitRelease(const ChildSetup& setup) {
  if (setup.plan.guarded) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != setup.parent) _exit(kNotExecuted);
  }
  char byte = 0;
  ssize_t got = 0;
  while ((got = read(kGoFd, &byte, 1)) < 0 && errno == EINTR) {
  }
  if (got != 1) _exit(kNotExecuted);
  close(kGoFd);
}

void SetLimits(const SpawnPlan& plan) {
  struct rlimit files {};
  if (plan.open_files_soft > 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = std::min<rlim_t>(plan.open_files_soft, files.rlim_max);
    setrlimit(RLIMIT_NOFILE, &files);
  }
  for (size_t i = 0; i < plan.limits.size(); ++i) {
    const SpawnPlan::Limit& limit = plan.limits[i];
    const struct rlimit both = {.rlim_cur = limit.maximum, .rlim_max = limit.maximum};
    if (setrlimit(static_cast<__rlimit_resource_t>(limit.resource), &both) != 0) {
      Fail(ChildStep::kLimit, i);
    }
  }
}

bool Has(CapabilityMask mask, int capability) { return (mask >> capability & 1) != 0; }

void SetCapabilities(CapabilityMask wanted) {
  struct __user_cap_header_struct header {};
  header.version = _LINUX_CAPABILITY_VERSION_3;
  struct __user_cap_data_struct data[2] = {};
  for (int half = 0; half < 2; ++half) {
    const auto bits = static_cast<__u32>(wanted >> (32 * half));
    data[half].effective = data[half].permitted = data[half].inheritable = bits;
  }
  if (syscall(SYS_capset, &header, data) != 0) Fail(ChildStep::kCapabilities);
}

// The system calls themselves: glibc's functions would speak to threads that are not here.
void BecomeUser(const ChildSetup& setup) {
  const Credentials& wanted = setup.plan.credentials;
  // The bounding set goes first: CAP_SETPCAP is lost with the user.
  if (Has(setup.own_capabilities, CAP_SETPCAP)) {
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
      if (Has(wanted.capabilities, capability)) continue;
      if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) Fail(ChildStep::kCapabilities);
    }
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (wanted.change_user) {
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) Fail(ChildStep::kUser);
    if (syscall(SYS_setgroups, wanted.groups.size(), wanted.groups.data()) != 0 ||
        syscall(SYS_setresgid, wanted.gid, wanted.gid, wanted.gid) != 0 ||
        syscall(SYS_setresuid, wanted.uid, wanted.uid, wanted.uid) != 0) {
      Fail(ChildStep::kUser);
    }
  }
  SetCapabilities(wanted.capabilities);
  if (wanted.uid == 0) return;  // A program of uid 0 gets all that is left in the bounding set.
  for (int capability = 0; capability < 64; ++capability) {
    if (!Has(wanted.capabilities, capability)) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
      Fail(ChildStep::kCapabilities);
    }
  }
}

// Waits on go_fd, then becomes plan.argv.
[[noreturn]] void RunChild(const ChildSetup& setup) {
  ResetSignals();
  setsid();  // Cannot fail: a new process leads no group.
  ArrangeDescriptors(setup);
  AwaitRelease(setup);
  if (setup.plan.guarded && !SplitOffGuard(setup.parent)) Fail(ChildStep::kSession);
  umask(kUmask);
  SetLimits(setup.plan);
  BecomeUser(setup);
  if (setup.plan.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    Fail(ChildStep::kNoNewPrivileges);
  }
  // The change of the user has cleared it.
  if (setup.plan.guarded) prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (chdir(setup.plan.working_directory.c_str()) != 0) Fail(ChildStep::kDirectory);
  execve(setup.argv[0], setup.argv, setup.environment);
  Fail(ChildStep::kExec);
}

// --- The parent. ---

constexpr int kExecWaitMs = 1500;  // Of the provider's 2 s.
constexpr absl::Duration kRunSlice = absl::Milliseconds(20);
constexpr absl::Duration kGuardPatience = absl::Seconds(2);

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

void CloseAll(std::initializer_list<int> fds) {
  for (const int fd : fds) {
    if (fd >= 0) close(fd);
  }
}

void ReapChild(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

absl::Status Explain(const ChildFailure& failure, const SpawnPlan& plan) {
  const std::string reason = strerrordesc_np(failure.error) != nullptr
                                 ? strerrordesc_np(failure.error)
                                 : absl::StrCat("error ", failure.error);
  const auto fail = [](const char* field, const std::string& problem,
                       absl::StatusCode code = absl::StatusCode::kFailedPrecondition) {
    return FieldError(field, problem, code);
  };
  switch (failure.step) {
    case ChildStep::kLimit: {
      const auto& limit = plan.limits[std::min(failure.index, plan.limits.size() - 1)];
      return fail(limit.field, absl::StrCat("cannot set the limit ", limit.maximum, ": ", reason));
    }
    case ChildStep::kUser:
      return fail("dna.security.user",
                  absl::StrCat("cannot become uid ", plan.credentials.uid, ": ", reason));
    case ChildStep::kCapabilities:
      return fail("dna.security.capabilities", absl::StrCat("cannot set them: ", reason));
    case ChildStep::kNoNewPrivileges:
      return fail("dna.security.no_new_privileges", absl::StrCat("cannot set it: ", reason));
    case ChildStep::kDirectory:
      return fail("dna.process.working_directory",
                  absl::StrCat("cannot enter ", plan.working_directory, ": ", reason));
    case ChildStep::kExec:
      return fail("dna.process.argv",
                  absl::StrCat("cannot execute ", plan.argv.front(), ": ", reason),
                  failure.error == EAGAIN ? absl::StatusCode::kResourceExhausted
                                          : absl::StatusCode::kFailedPrecondition);
    case ChildStep::kSession:
      break;
  }
  return absl::UnavailableError(absl::StrCat("cannot set up a session of its own: ", reason));
}

}  // namespace

HeldProcess::HeldProcess(HeldProcess&& other) noexcept
    : plan_(std::move(other.plan_)),
      id_(std::exchange(other.id_, {})),
      go_fd_(std::exchange(other.go_fd_, -1)),
      error_fd_(std::exchange(other.error_fd_, -1)) {}

HeldProcess::~HeldProcess() { Abandon(); }

void HeldProcess::Abandon() {
  if (go_fd_ < 0) return;
  CloseAll({std::exchange(go_fd_, -1), std::exchange(error_fd_, -1)});
  ReapChild(id_.pid);  // It reads the end of file and exits at once.
}

absl::StatusOr<HeldProcess> HeldProcess::Spawn(const SpawnPlan& plan) {
  HeldProcess held;
  held.plan_ = plan;
  std::array<int, 2> go = {-1, -1};  // A socket: writing to a dead child raises no SIGPIPE.
  std::array<int, 2> error = {-1, -1};
  const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go.data()) != 0 ||
      pipe2(error.data(), O_CLOEXEC) != 0) {
    const int why = errno;
    CloseAll({null_fd, go[0], go[1], error[0], error[1]});
    return absl::UnavailableError(absl::StrCat("cannot open what a new process needs: ",
                                               absl::ErrnoToStatus(why, "").ToString()));
  }
  // All memory is taken before the fork: in the child of a threaded process only system calls are
  // safe.
  const std::vector<char*> argv = Pointers(plan.argv);
  const std::vector<char*> environment = Pointers(plan.environment);
  const auto own = ReadPrivileges(getpid());
  const ChildSetup setup{.plan = plan,
                         .argv = argv.data(),
                         .environment = environment.data(),
                         .null_fd = null_fd,
                         .go_fd = go[0],
                         .error_fd = error[1],
                         .parent = getpid(),
                         .own_capabilities = own.ok() ? own->effective : 0};
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  if (pid == 0) RunChild(setup);
  const int why = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  CloseAll({null_fd, go[0], error[1]});
  if (pid < 0) {
    CloseAll({go[1], error[0]});
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start another process: ", absl::ErrnoToStatus(why, "").ToString()));
  }
  held.id_.pid = pid;
  held.go_fd_ = go[1];
  held.error_fd_ = error[0];
  const auto stat = ReadProcessStat(pid);
  if (!stat.ok()) return stat.status();
  held.id_ = stat->id;
  return held;
}

absl::Status HeldProcess::Release() {
  const char byte = 1;
  const ssize_t written = send(go_fd_, &byte, 1, MSG_NOSIGNAL);
  if (written != 1) {
    Abandon();
    return absl::UnavailableError("the new process is gone already");
  }
  pollfd waiting{.fd = error_fd_, .events = POLLIN, .revents = 0};
  while (poll(&waiting, 1, kExecWaitMs) < 0 && errno == EINTR) {
  }
  ChildFailure failure{};
  const bool failed =
      waiting.revents != 0 && read(error_fd_, &failure, sizeof(failure)) == sizeof(failure);
  if (failed) ReapChild(id_.pid);
  CloseAll({std::exchange(go_fd_, -1), std::exchange(error_fd_, -1)});
  return failed ? Explain(failure, plan_) : absl::OkStatus();
}

namespace {

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
      return ReapChild(pid);
    }
    poll(nullptr, 0, 1);
  }
}

}  // namespace

absl::StatusOr<std::string> RunToEnd(SpawnPlan plan, Clock& clock, absl::Duration timeout,
                                     size_t output_max_bytes, const std::stop_token& stop) {
  std::array<int, 2> output = {-1, -1};
  if (pipe2(output.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    return absl::ErrnoToStatus(errno, "cannot make a pipe");
  }
  const absl::Cleanup close_output = [&] { CloseAll({output[0], output[1]}); };
  // Only our end is to be non-blocking.
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
