#include "server/providers/process_spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/providers/child/process_child.h"

namespace shadow {
namespace {

constexpr int kExecWaitMs = 1500;  // Of the provider's 2 s.

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

std::string Reason(int error) {
  const char* const text = strerrordesc_np(error);
  return text != nullptr ? text : absl::StrCat("error ", error);
}

absl::Status Explain(const ChildFailure& failure, const SpawnSpec& plan) {
  const std::string reason = Reason(failure.error);
  // Of the host, which may have more in a moment.
  const bool want = failure.error == EAGAIN || failure.error == ENOMEM || failure.error == EMFILE ||
                    failure.error == ENFILE;
  const auto fail = [want](const char* field, const std::string& problem) {
    return FieldError(
        field, problem,
        want ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kFailedPrecondition);
  };
  switch (failure.step) {
    case ChildStep::kLimit: {
      const auto& limit = plan.limits[std::min(failure.index, plan.limits.size() - 1)];
      return fail(limit.field, absl::StrCat("cannot set the limit ", limit.maximum, ": ", reason));
    }
    case ChildStep::kUser:
      return fail("dna.security.user",
                  absl::StrCat("cannot become uid ", plan.credentials.uid, ": ", reason));
    case ChildStep::kDropCapabilities:
      return fail("dna.security.capabilities", absl::StrCat("cannot set them: ", reason));
    case ChildStep::kNoNewPrivileges:
      return fail("dna.security.no_new_privileges", absl::StrCat("cannot set it: ", reason));
    case ChildStep::kDirectory:
      return fail("dna.process.working_directory",
                  absl::StrCat("cannot enter ", plan.working_directory, ": ", reason));
    case ChildStep::kExec:
      return fail("dna.process.argv",
                  absl::StrCat("cannot execute ", plan.argv.front(), ": ", reason));
    case ChildStep::kSession:
      break;
  }
  return absl::UnavailableError(absl::StrCat("cannot set up a session of its own: ", reason));
}

// kUnread: neither. What it says now, or does, is not known.
enum class ReadResult { kRead, kEnd, kUnread };

// What a new process says on its pipe, or that it has closed it.
template <typename Message>
ReadResult ReadSoon(int fd, Message& message) {
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  while (poll(&waiting, 1, kExecWaitMs) < 0 && errno == EINTR) {
  }
  if (waiting.revents == 0) return ReadResult::kUnread;
  char* const bytes = reinterpret_cast<char*>(&message);
  size_t have = 0;  // It is written at once, so the rest is there.
  while (have < sizeof(message)) {
    const ssize_t got = read(fd, bytes + have, sizeof(message) - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ReadResult::kUnread;
    if (got == 0) return ReadResult::kEnd;
    have += static_cast<size_t>(got);
  }
  return ReadResult::kRead;
}

// The descriptors that a new process is started with; all are closed at the end, but those that
// were taken.
class Pipes {
 public:
  Pipes() = default;
  Pipes(const Pipes&) = delete;
  Pipes& operator=(const Pipes&) = delete;
  ~Pipes() {
    CloseAll({null, go[0], go[1], error[0], error[1], output[0], output[1], report[0], report[1]});
  }

  absl::Status Open(bool for_holder) {
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const bool opened =
        null >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go.data()) == 0 &&
        pipe2(error.data(), O_CLOEXEC) == 0 &&
        (!for_holder ||
         (pipe2(output.data(), O_CLOEXEC) == 0 && pipe2(report.data(), O_CLOEXEC) == 0));
    if (opened) return absl::OkStatus();
    return absl::Status(absl::ErrnoToStatusCode(errno),
                        absl::StrCat("cannot open what a new process needs: ", Reason(errno)));
  }

  int null = -1;
  std::array<int, 2> go = {-1, -1};  // A socket: writing to a dead child raises no SIGPIPE.
  std::array<int, 2> error = {-1, -1};
  std::array<int, 2> output = {-1, -1};
  std::array<int, 2> report = {-1, -1};
};

// With no signal until it has reset its handlers.
pid_t Fork(const ChildSetup& setup) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  if (pid == 0) RunChild(setup);
  const int why = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = why;
  return pid;
}

}  // namespace

absl::StatusOr<std::string> FindHolder() {
  std::error_code error;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return absl::ErrnoToStatus(error.value(), "cannot read /proc/self/exe");
  for (const char* const place : {"shadow-holder", "../libexec/shadowd/shadow-holder"}) {
    const std::string path = (here / place).lexically_normal();
    if (access(path.c_str(), X_OK) == 0) return path;
    if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) continue;
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot look for ", path));
  }
  return absl::NotFoundError(absl::StrCat("there is no shadow-holder in ", here.string(),
                                          " or in ../libexec/shadowd beside it"));
}

HeldProcess::HeldProcess(HeldProcess&& other) noexcept
    : plan_(std::move(other.plan_)),
      child_(std::exchange(other.child_, 0)),
      id_(std::exchange(other.id_, {})),
      holder_(other.holder_),
      go_fd_(std::exchange(other.go_fd_, -1)),
      error_fd_(std::exchange(other.error_fd_, -1)) {}

HeldProcess::~HeldProcess() { Abandon(); }

void HeldProcess::ReapOwnChild() const {
  while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void HeldProcess::Abandon() {
  if (go_fd_ < 0) return;
  CloseAll({std::exchange(go_fd_, -1), std::exchange(error_fd_, -1)});
  ReapOwnChild();  // The program reads the end of file and exits at once, and a holder follows.
}

absl::Status HeldProcess::AwaitHolder(int report_fd) {
  HolderReport report;
  ReadResult result = ReadSoon(report_fd, report);
  if (result == ReadResult::kRead && report.child < 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start another process: ", Reason(report.error)));
  }
  const pid_t program = report.child;
  if (result == ReadResult::kRead) result = ReadSoon(report_fd, report);
  if (result == ReadResult::kEnd && program > 0) {  // It has become the holder.
    const auto holder = ReadProcessStat(child_);
    if (!holder.ok()) return holder.status();
    const auto stat = ReadProcessStat(program);
    if (!stat.ok()) return stat.status();
    holder_ = holder->id;
    id_ = stat->id;
    return absl::OkStatus();
  }
  if (result == ReadResult::kUnread) kill(child_, SIGKILL);  // It is waited for.
  return absl::UnavailableError(absl::StrCat(
      "cannot execute ", plan_.holder->program, ": ",
      result == ReadResult::kRead ? Reason(report.error) : std::string("it does not start")));
}

absl::StatusOr<HeldProcess> HeldProcess::Spawn(const SpawnSpec& plan) {
  HeldProcess held;
  held.plan_ = plan;
  const bool with_holder = plan.holder.has_value();
  Pipes pipes;
  if (absl::Status opened = pipes.Open(with_holder); !opened.ok()) return opened;
  // All memory is taken before the fork: in the child of a threaded process only system calls are
  // safe.
  const std::vector<char*> argv = Pointers(plan.argv);
  const std::vector<char*> environment = Pointers(plan.environment);
  std::vector<std::string> holds;
  if (with_holder) holds.push_back(plan.holder->environment);
  const std::vector<char*> holder_environment = Pointers(holds);
  const std::string log_max_bytes =
      with_holder ? absl::StrCat(plan.holder->log_max_bytes) : std::string();
  const auto own = ReadPrivileges(getpid());
  if (!own.ok()) return own.status();  // The child would keep what it has to drop.
  const ChildSetup setup{.plan = plan,
                         .argv = argv.data(),
                         .environment = environment.data(),
                         .null_fd = pipes.null,
                         .go_fd = pipes.go[0],
                         .error_fd = pipes.error[1],
                         .output_fd = with_holder ? pipes.output[1] : plan.output_fd,
                         .parent = getpid(),
                         .own_capabilities = own->effective,
                         .holder_output_fd = pipes.output[0],
                         .report_fd = pipes.report[1],
                         .log_max_bytes = log_max_bytes.c_str(),
                         .holder_environment = holder_environment.data()};
  const pid_t pid = Fork(setup);
  if (pid < 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start another process: ", Reason(errno)));
  }
  held.child_ = pid;
  held.go_fd_ = std::exchange(pipes.go[1], -1);
  held.error_fd_ = std::exchange(pipes.error[0], -1);
  CloseAll({std::exchange(pipes.report[1], -1), std::exchange(pipes.output[1], -1),
            std::exchange(pipes.error[1], -1)});
  if (with_holder) {
    if (absl::Status holds_it = held.AwaitHolder(pipes.report[0]); !holds_it.ok()) return holds_it;
    return held;
  }
  const auto stat = ReadProcessStat(pid);
  if (!stat.ok()) return stat.status();
  held.id_ = stat->id;
  return held;
}

absl::Status HeldProcess::Release() {
  const char byte = 1;
  ssize_t written = 0;
  while ((written = send(go_fd_, &byte, 1, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
  }
  if (written != 1) {
    Abandon();
    return absl::UnavailableError("the new process is gone already");
  }
  ChildFailure failure{};
  const bool failed = ReadSoon(error_fd_, failure) == ReadResult::kRead;
  if (failed) ReapOwnChild();
  CloseAll({std::exchange(go_fd_, -1), std::exchange(error_fd_, -1)});
  return failed ? Explain(failure, plan_) : absl::OkStatus();
}

}  // namespace shadow
