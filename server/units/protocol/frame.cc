#include "server/units/protocol/frame.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

absl::Status Broken(const char* what) {
  return absl::UnavailableError(absl::StrCat("units socket: ", what));
}

absl::Status BrokenBy(const char* what, int error) {
  return Broken(absl::StrCat(what, ": ", absl::ErrnoToStatus(error, "").ToString()).c_str());
}

bool TryAgain(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

std::string FrameHead(size_t bytes) {
  const auto length = static_cast<uint32_t>(bytes);
  std::string head;
  for (int shift = 24; shift >= 0; shift -= 8) {
    head += static_cast<char>(static_cast<unsigned char>(length >> shift & 0xFFU));
  }
  return head;
}

absl::StatusOr<size_t> FrameLength(std::string_view head) {
  size_t length = 0;
  for (const char byte : head.substr(0, kFrameHeadBytes)) {
    length = length << 8 | static_cast<unsigned char>(byte);
  }
  if (head.size() == kFrameHeadBytes && length <= kFrameMaxBytes) return length;
  return absl::InvalidArgumentError(
      absl::StrCat("a frame of ", length, " bytes; at most ", kFrameMaxBytes, " fit"));
}

FrameChannel::FrameChannel(int fd, const Clock& clock) : fd_(fd), clock_(clock) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

FrameChannel::~FrameChannel() { close(fd_); }

void FrameChannel::HangUp() { shutdown(fd_, SHUT_RDWR); }

absl::Status FrameChannel::WaitFor(short events, absl::Duration deadline) {
  while (true) {
    const absl::Duration left = deadline - clock_.Now().mono;
    // Rounded up, or the last millisecond would be spent spinning.
    const int64_t millis =
        std::max<int64_t>(0, absl::ToInt64Milliseconds(left + absl::Microseconds(999)));
    pollfd wait{.fd = fd_, .events = events, .revents = 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::min<int64_t>(millis, INT32_MAX)));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return BrokenBy("cannot wait", errno);
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("units socket: the peer took too long");
    }
  }
}

absl::Status FrameChannel::ReadAll(char* to, size_t bytes, absl::Duration deadline) {
  while (bytes > 0) {
    if (absl::Status status = WaitFor(POLLIN, deadline); !status.ok()) return status;
    const ssize_t got = recv(fd_, to, bytes, 0);
    if (got == 0) return Broken("the peer has hung up within a frame");
    if (got < 0) {
      if (TryAgain(errno)) continue;
      return BrokenBy("cannot read", errno);
    }
    to += got;
    bytes -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> FrameChannel::Receive(absl::Duration idle, absl::Duration whole) {
  if (absl::Status begun = WaitFor(POLLIN, clock_.Now().mono + idle); !begun.ok()) return begun;
  const absl::Duration deadline = clock_.Now().mono + whole;
  std::array<char, kFrameHeadBytes> head;
  const ssize_t first = recv(fd_, head.data(), head.size(), 0);
  if (first == 0) return absl::NotFoundError("units socket: the peer has hung up");
  if (first < 0 && !TryAgain(errno)) return BrokenBy("cannot read", errno);
  const size_t got = static_cast<size_t>(std::max<ssize_t>(first, 0));
  absl::Status status = ReadAll(head.data() + got, head.size() - got, deadline);
  if (!status.ok()) return status;
  const auto length = FrameLength({head.data(), head.size()});
  if (!length.ok()) return length.status();
  std::string message(*length, '\0');
  status = ReadAll(message.data(), message.size(), deadline);
  if (!status.ok()) return status;
  return message;
}

absl::Status FrameChannel::WriteAll(std::string_view bytes, absl::Duration deadline) {
  while (!bytes.empty()) {
    if (absl::Status status = WaitFor(POLLOUT, deadline); !status.ok()) return status;
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && !TryAgain(errno)) return BrokenBy("cannot write", errno);
    if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

absl::Status FrameChannel::Send(std::string_view message, absl::Duration whole) {
  if (message.size() > kFrameMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a message of ", message.size(),
                                                   " bytes for shadowd-units; at most ",
                                                   kFrameMaxBytes, " fit"));
  }
  const absl::Duration deadline = clock_.Now().mono + whole;
  absl::Status status = WriteAll(FrameHead(message.size()), deadline);
  if (status.ok()) status = WriteAll(message, deadline);
  return status;
}

}  // namespace shadow
