// In place of systemd: the socket to which a service sends what sd_notify(3) says.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "tests/fakes/loopback_socket.h"
#include "tests/fakes/poll.h"

namespace shadow {

// NOTIFY_SOCKET and, if `watchdog` is not zero, WATCHDOG_USEC of this process and its children, for
// the life of this object. It must be made before there are other threads, and outlive them.
class NotifySocket {
 public:
  explicit NotifySocket(absl::Duration watchdog)
      : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address.sun_family);  // The kernel gives it an abstract name.
    const timeval patience = absl::ToTimeval(kPatience);
    if (bind(socket_.fd(), any, size) != 0 ||
        getsockname(socket_.fd(), any, &(size = sizeof(address))) != 0 ||
        setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0) {
      throw std::runtime_error("cannot make a notification socket");
    }
    const size_t name_size = size - offsetof(sockaddr_un, sun_path) - 1;
    const std::string name = "@" + std::string(address.sun_path + 1, name_size);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    if (watchdog == absl::ZeroDuration()) return;
    setenv("WATCHDOG_USEC", std::to_string(absl::ToInt64Microseconds(watchdog)).c_str(), 1);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;
  ~NotifySocket() {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
  }

  // The next message; empty: none came within kPatience.
  std::string Next() const {
    std::string message(4096, '\0');
    const ssize_t size = recv(socket_.fd(), message.data(), message.size(), 0);
    message.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return message;
  }

  // Skips messages until one begins with `begin`, which is returned; empty: none does.
  std::string Await(const std::string& begin) const {
    std::string message = Next();
    while (!message.empty() && message.rfind(begin, 0) != 0) message = Next();
    return message;
  }

 private:
  const TestSocket socket_;
};

}  // namespace shadow
