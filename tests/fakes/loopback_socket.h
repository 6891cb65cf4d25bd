// TCP on 127.0.0.1 for tests.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace shadow {

// Owns a file descriptor; -1 is none.
class TestSocket {
 public:
  explicit TestSocket(int fd = -1) : fd_(fd) {}
  TestSocket(TestSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  TestSocket& operator=(TestSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~TestSocket() { Close(); }

  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

inline sockaddr_in LoopbackAddress(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

// Listens on `port`, 0 for a free one. Throws std::runtime_error where that fails.
inline TestSocket ListenOnLoopback(int port) {
  TestSocket socket_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket_fd.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const sockaddr_in address = LoopbackAddress(port);
  if (bind(socket_fd.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(socket_fd.fd(), SOMAXCONN) != 0) {
    throw std::runtime_error("cannot listen on 127.0.0.1:" + std::to_string(port));
  }
  return socket_fd;
}

inline int LocalPort(const TestSocket& socket_fd) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  getsockname(socket_fd.fd(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

// A port that nobody listened on a moment ago.
inline int FreeLoopbackPort() { return LocalPort(ListenOnLoopback(0)); }

// Connects with a send and receive timeout; none where it is refused.
inline TestSocket ConnectToLoopback(int port, int timeout_seconds) {
  TestSocket socket_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval timeout{.tv_sec = timeout_seconds, .tv_usec = 0};
  setsockopt(socket_fd.fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  setsockopt(socket_fd.fd(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  const int on = 1;
  setsockopt(socket_fd.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const sockaddr_in address = LoopbackAddress(port);
  if (connect(socket_fd.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    socket_fd.Close();
  }
  return socket_fd;
}

// Sends all of it; false where the peer is gone.
inline bool SendAll(const TestSocket& socket_fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = send(socket_fd.fd(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// Appends what comes next to `buffer`; false at the end, on a timeout or an error.
inline bool ReceiveMore(const TestSocket& socket_fd, std::string& buffer) {
  char chunk[4096];
  const ssize_t got = recv(socket_fd.fd(), chunk, sizeof(chunk), 0);
  if (got <= 0) return false;
  buffer.append(chunk, static_cast<size_t>(got));
  return true;
}

}  // namespace shadow
