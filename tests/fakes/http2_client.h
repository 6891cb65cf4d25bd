// Frames of HTTP/2 by hand, as no honest client sends them.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fakes/loopback_socket.h"

namespace shadow::http2 {

inline constexpr uint8_t kData = 0;
inline constexpr uint8_t kHeaders = 1;
inline constexpr uint8_t kResetStream = 3;
inline constexpr uint8_t kSettings = 4;
inline constexpr uint8_t kPing = 6;
inline constexpr uint8_t kContinuation = 9;
inline constexpr uint8_t kAck = 1;
inline constexpr uint8_t kEndStream = 1;
inline constexpr uint8_t kEndHeaders = 4;

inline std::string BigEndian(uint32_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

inline std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string frame = BigEndian(static_cast<uint32_t>(payload.size()), 3);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  return frame + BigEndian(stream, 4) + std::string(payload);
}

inline std::string Preface() {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, "");
}

inline std::string SettingsAck() { return Frame(kSettings, kAck, 0, ""); }

// A header block (HPACK, literals without indexing) that begins a call of `path`.
inline std::string CallHeaders(std::string_view path) {
  std::string block;
  const std::pair<std::string_view, std::string_view> headers[] = {
      {":method", "POST"},         {":scheme", "http"}, {":path", path},
      {":authority", "localhost"}, {"te", "trailers"},  {"content-type", "application/grpc"}};
  for (const auto& [name, value] : headers) {
    block += '\0';
    block += static_cast<char>(name.size());
    block += name;
    block += static_cast<char>(value.size());
    block += value;
  }
  return block;
}

// gRPC's own frame around a message, of which `sent` bytes come.
inline std::string Message(uint32_t length, std::string_view sent) {
  return '\0' + BigEndian(length, 4) + std::string(sent);
}

// A connection to the Unix socket `path` as effective user `uid`, which takes root. Without one:
// not accepted. Its reads and writes end after `timeout_seconds`.
inline TestSocket Connect(const std::string& path, uid_t uid, int timeout_seconds = 5) {
  TestSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  bool connected = false;
  // The kernel keeps credentials for each thread: this one is another user's, the others stay.
  std::thread([&] {
    if (syscall(SYS_setresuid, -1, uid, -1) != 0) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    connected =
        connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }).join();
  if (!connected) socket.Close();
  const timeval timeout{.tv_sec = timeout_seconds, .tv_usec = 0};
  setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  return socket;
}

// False: the peer has closed it, or takes no more.
inline bool Send(const TestSocket& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// Whether the peer has closed it; what it has sent is read and dropped. Does not wait.
inline bool Closed(const TestSocket& socket) {
  char bytes[4096];
  while (true) {
    const ssize_t got = recv(socket.fd(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got > 0) continue;
    return got == 0 || (errno != EAGAIN && errno != EINTR);
  }
}

}  // namespace shadow::http2
