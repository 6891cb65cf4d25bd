#include "server/log/journal_sink.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/log/journal_entry.h"
#include "server/log/message_kinds.h"

namespace shadow {
namespace {

// A socket that only sends there; -1: as errno says.
int ConnectToJournal(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

bool StderrIsJournal(const char* journal_stream) {
  struct stat status {};
  if (journal_stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return absl::StrCat(status.st_dev, ":", status.st_ino) == journal_stream;
}

absl::StatusOr<std::shared_ptr<JournalSink>> JournalSink::Open(const std::string& socket_path,
                                                               Clock& clock) {
  const int fd = ConnectToJournal(socket_path);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot connect to ", socket_path));
  return std::make_shared<JournalSink>(fd, socket_path, clock);
}

JournalSink::JournalSink(int fd, std::string socket_path, Clock& clock)
    : socket_path_(std::move(socket_path)),
      clock_(clock),
      fd_(fd),
      window_begin_(clock.Now().mono) {}

JournalSink::~JournalSink() {
  if (fd_ >= 0) close(fd_);
}

void JournalSink::Write(spdlog::level::level_enum level, const LogFields& fields,
                        std::string_view message, const CodePlace& place) {
  const std::string entry = JournalEntry(level, fields, message, &place);
  const std::lock_guard lock(mutex_);
  Take(entry);
}

void JournalSink::sink_it_(const spdlog::details::log_msg& message) {
  Take(JournalEntry(message.level, {}, {message.payload.data(), message.payload.size()}, nullptr));
}

void JournalSink::Take(const std::string& entry) {
  if (!TellLost() || !Send(entry)) ++lost_;
}

bool JournalSink::TellLost() {
  if (lost_ == 0) return true;
  const std::string told =
      absl::StrCat(lost_, lost_ == 1 ? " line of the log was" : " lines of the log were",
                   " lost: journald did not take them in time");
  if (!Send(JournalEntry(spdlog::level::warn, {.kind = MessageKind::kLinesLost}, told, nullptr))) {
    return false;
  }
  lost_ = 0;
  return true;
}

bool JournalSink::Send(std::string_view entry) {
  bool reconnected = false;
  while (send(fd_, entry.data(), entry.size(), MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      if (!AwaitRoom()) return false;
      continue;
    }
    if (reconnected || !Reconnect()) return false;
    reconnected = true;
  }
  return true;
}

bool JournalSink::AwaitRoom() {
  const absl::Duration begin = clock_.Now().mono;
  if (begin - window_begin_ >= kWaitWindow) {
    window_begin_ = begin;
    waited_ = absl::ZeroDuration();
  }
  const int64_t left_millis = absl::ToInt64Milliseconds(kWaitMax - waited_);
  if (left_millis <= 0) return false;
  pollfd wait{.fd = fd_, .events = POLLOUT, .revents = 0};
  if (poll(&wait, 1, static_cast<int>(left_millis)) == 0) {
    waited_ = kWaitMax;
    return false;
  }
  waited_ += clock_.Now().mono - begin;
  return true;
}

bool JournalSink::Reconnect() {
  const int fresh = ConnectToJournal(socket_path_);
  if (fresh < 0) return false;
  close(fd_);
  fd_ = fresh;
  return true;
}

}  // namespace shadow
