#include "server/providers/child/process_child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "server/holder/interface.h"
#include "server/providers/guard/process_guard.h"

namespace shadow {
namespace {

constexpr int kGoFd = 3;
constexpr int kErrorFd = 4;
constexpr int kReportFd = kHolderExitFd + 1;
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

// Makes `wanted`, in their order, the descriptors 0, 1, ...; the last one is closed on exec. False:
// the others could not be closed. Nobody hears of a failure before they are in place.
template <size_t n>
bool ArrangeDescriptors(const std::array<int, n>& wanted) {
  std::array<int, n> copies{};
  for (size_t i = 0; i < n; ++i) {
    copies[i] = fcntl(wanted[i], F_DUPFD, kAboveAllOfThem);
    if (copies[i] < 0) _exit(kNotExecuted);
  }
  for (size_t i = 0; i < n; ++i) {
    if (dup3(copies[i], static_cast<int>(i), i + 1 == n ? O_CLOEXEC : 0) < 0) _exit(kNotExecuted);
  }
  return syscall(SYS_close_range, static_cast<unsigned>(n), ~0U, 0) == 0;
}

[[noreturn]] void BecomeHolder(const ChildSetup& setup, pid_t child) {
  const SpawnSpec::Holder& holder = *setup.plan.holder;
  HolderReport report{.child = child, .error = errno};
  static_assert(kHolderOutputFd == 3 && kHolderLogFd == 4 && kHolderExitFd == 5);
  const bool arranged = ArrangeDescriptors(std::array{setup.null_fd, setup.null_fd, setup.null_fd,
                                                      setup.holder_output_fd, holder.log_fd,
                                                      holder.exit_fd, setup.report_fd});
  const auto tell = [&] {
    [[maybe_unused]] const ssize_t written = write(kReportFd, &report, sizeof(report));
  };
  tell();
  if (child < 0) _exit(kNotExecuted);
  std::array<char, 16> digits{};
  char* number = digits.data() + digits.size() - 1;
  for (pid_t left = child; left > 0; left /= 10) *--number = static_cast<char>('0' + left % 10);
  char* const program = const_cast<char*>(holder.program.c_str());
  char* const arguments[] = {program, number, const_cast<char*>(setup.log_max_bytes), nullptr};
  if (arranged && chdir("/") == 0) execve(program, arguments, setup.holder_environment);
  report.error = errno;
  tell();
  _exit(kNotExecuted);
}

// Returns in the instance's first process; whatever that starts stays below this one.
void SplitOffHolder(const ChildSetup& setup) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t child = _Fork();
  if (child != 0) BecomeHolder(setup, child);
  setsid();  // A signal to its group does not reach the holder.
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

void SetLimits(const SpawnSpec& plan) {
  struct rlimit files {};
  if (plan.open_files_soft > 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = std::min<rlim_t>(plan.open_files_soft, files.rlim_max);
    setrlimit(RLIMIT_NOFILE, &files);
  }
  for (size_t i = 0; i < plan.limits.size(); ++i) {
    const SpawnSpec::Limit& limit = plan.limits[i];
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
  if (syscall(SYS_capset, &header, data) != 0) Fail(ChildStep::kDropCapabilities);
}

// The system calls themselves: glibc's functions would speak to threads that are not here.
void BecomeUser(const ChildSetup& setup) {
  const Credentials& wanted = setup.plan.credentials;
  // The bounding set goes first: CAP_SETPCAP is lost with the user.
  if (Has(setup.own_capabilities, CAP_SETPCAP)) {
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
      if (Has(wanted.capabilities, capability)) continue;
      if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) Fail(ChildStep::kDropCapabilities);
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
      Fail(ChildStep::kDropCapabilities);
    }
  }
}

}  // namespace

void RunChild(const ChildSetup& setup) {
  ResetSignals();
  setsid();  // Cannot fail: a new process leads no group.
  if (setup.plan.holder.has_value()) SplitOffHolder(setup);
  static_assert(kGoFd == 3 && kErrorFd == 4);
  if (!ArrangeDescriptors(std::array{setup.null_fd, setup.output_fd, setup.output_fd, setup.go_fd,
                                     setup.error_fd})) {
    Fail(ChildStep::kSession);
  }
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

}  // namespace shadow
