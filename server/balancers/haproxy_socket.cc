#include "server/balancers/haproxy_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "server/core/error.h"
#include "server/core/names.h"

namespace shadow {
namespace {

constexpr size_t kQuoteMax = 160;
constexpr size_t kReadBytes = 65536;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status SocketError(absl::StatusCode code, std::string_view path, std::string_view problem) {
  std::string message = "haproxy socket ";
  message.append(path).append(": ").append(problem);
  return absl::Status(code, message);
}

absl::Status ErrnoError(std::string_view path, std::string_view what, int error) {
  const auto code = error == EACCES || error == EPERM ? absl::StatusCode::kPermissionDenied
                                                      : absl::StatusCode::kUnavailable;
  return SocketError(code, path, std::string(what) + ": " + std::strerror(error));
}

absl::Status CheckCommand(std::string_view path, std::string_view command) {
  const bool clean = std::all_of(command.begin(), command.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != ';' && c != '\\';
  });
  if (clean && !command.empty()) return absl::OkStatus();
  return SocketError(absl::StatusCode::kInvalidArgument, path,
                     "refusing to send the command " + QuoteReply(command));
}

// Every reply is its lines, then an empty line. What comes after kCommandsMax of them is left out:
// there are too many anyway.
std::vector<std::string> SplitReplies(std::string_view text) {
  std::vector<std::string> replies;
  std::string reply;
  while (!text.empty() && replies.size() <= HaproxySocket::kCommandsMax) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    const bool complete = end != std::string_view::npos;
    text.remove_prefix(complete ? end + 1 : text.size());
    if (line.empty()) {
      replies.push_back(std::exchange(reply, ""));
    } else {
      reply.append(line).append("\n");
    }
  }
  if (!reply.empty()) replies.push_back(std::move(reply));
  return replies;
}

}  // namespace

HaproxySocket::HaproxySocket(std::string path, const Clock& clock)
    : path_(std::move(path)), clock_(clock) {}

absl::Duration HaproxySocket::Deadline() const { return clock_.Now().mono + kCallTimeout; }

absl::StatusOr<std::vector<std::string>> HaproxySocket::Run(
    const std::vector<std::string>& commands, absl::Duration deadline) const {
  if (commands.empty() || commands.size() > kCommandsMax) {
    return SocketError(absl::StatusCode::kInvalidArgument, path_,
                       std::to_string(commands.size()) + " commands at once");
  }
  std::string line;
  for (const std::string& command : commands) {
    if (absl::Status status = CheckCommand(path_, command); !status.ok()) return status;
    line += line.empty() ? "" : ";";
    line += command;
  }
  line += '\n';

  absl::StatusOr<std::string> text = Exchange(line, deadline);
  if (!text.ok()) return text.status();
  std::vector<std::string> replies = SplitReplies(*text);
  const bool ended = *text == "\n" || text->ends_with("\n\n");
  if (replies.size() != commands.size() || !ended) {
    return SocketError(absl::StatusCode::kInternal, path_,
                       "wanted " + std::to_string(commands.size()) + " replies to \"" +
                           commands.front() + "\" ..., not " + QuoteReply(*text));
  }
  return replies;
}

absl::StatusOr<std::string> HaproxySocket::Exchange(std::string_view line,
                                                    absl::Duration deadline) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.empty() || path_.size() >= sizeof(address.sun_path)) {
    return SocketError(absl::StatusCode::kInvalidArgument, path_,
                       "the path must have 1 to 107 characters");
  }
  std::memcpy(address.sun_path, path_.data(), path_.size());

  const FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return ErrnoError(path_, "cannot make a socket", errno);
  // A Unix socket connects at once or, with a full backlog, fails with EAGAIN.
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoError(path_, "cannot connect; is HAProxy running, with this `stats socket`?",
                      errno);
  }

  while (!line.empty()) {
    if (absl::Status status = WaitFor(fd.get(), POLLOUT, deadline); !status.ok()) return status;
    const ssize_t sent = send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      return ErrnoError(path_, "cannot write", errno);
    }
    if (sent > 0) line.remove_prefix(static_cast<size_t>(sent));
  }

  std::string text;
  std::array<char, kReadBytes> buffer;
  while (true) {
    if (absl::Status status = WaitFor(fd.get(), POLLIN, deadline); !status.ok()) return status;
    const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (got == 0) return text;
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      return ErrnoError(path_, "cannot read", errno);
    }
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > kReplyBytesMax) {
      return SocketError(absl::StatusCode::kInternal, path_,
                         "the reply is longer than " + std::to_string(kReplyBytesMax) + " bytes");
    }
  }
}

absl::Status HaproxySocket::WaitFor(int fd, short events, absl::Duration deadline) const {
  while (true) {
    const absl::Duration left = deadline - clock_.Now().mono;
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    const int ready = left <= absl::ZeroDuration()
                          ? 0
                          : poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) {
      return SocketError(absl::StatusCode::kDeadlineExceeded, path_,
                         "HAProxy does not answer in time");
    }
    if (errno != EINTR) return ErrnoError(path_, "cannot wait", errno);
  }
}

std::string QuoteReply(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  for (const char c : text.substr(0, kQuoteMax)) {
    if (c == '\n') {
      quoted += '|';
    } else {
      quoted += c >= ' ' && c <= '~' ? c : '?';
    }
  }
  quoted += text.size() > kQuoteMax ? "...\"" : "\"";
  return quoted;
}

absl::Status CheckHaproxyName(std::string_view field, std::string_view name) {
  if (IsForeignName(name)) return absl::OkStatus();
  return FieldError(field, QuoteReply(name) + " is not a name: [A-Za-z0-9_.:-]{1,127} is wanted");
}

}  // namespace shadow
