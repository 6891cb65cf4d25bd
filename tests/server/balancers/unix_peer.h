// What listens on a HAProxy socket path but is no HAProxy.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "tests/fakes/loopback_socket.h"

namespace shadow {

// Serves one connection at a time with a function that gets the socket and the first line, and
// after which the connection is closed. `stopping()` tells it to come to an end.
class UnixPeer {
 public:
  using Serve = std::function<void(const UnixPeer&, const TestSocket&, const std::string& line)>;

  explicit UnixPeer(Serve serve) : serve_(std::move(serve)) {
    std::string name = (std::filesystem::temp_directory_path() / "shadow-peer-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    directory_ = name;
    listener_ = TestSocket(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(listener_.fd(), 8) != 0) {
      throw std::runtime_error("cannot listen on " + path());
    }
    thread_ = std::thread([this] { Run(); });
  }
  UnixPeer(const UnixPeer&) = delete;
  UnixPeer& operator=(const UnixPeer&) = delete;
  ~UnixPeer() {
    stopping_ = true;
    shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  // Answers every line with `reply`.
  static Serve Answer(std::string reply) {
    return [reply = std::move(reply)](const UnixPeer&, const TestSocket& socket,
                                      const std::string&) { SendAll(socket, reply); };
  }

  std::string path() const { return directory_ + "/peer.sock"; }
  bool stopping() const { return stopping_; }
  int lines() const { return lines_; }

 private:
  void Run() {
    while (true) {
      const TestSocket socket(accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (stopping_ || !socket) return;
      std::string line;
      while (line.find('\n') == std::string::npos && ReceiveMore(socket, line)) {
      }
      ++lines_;
      serve_(*this, socket, line);
    }
  }

  const Serve serve_;
  std::string directory_;
  TestSocket listener_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> lines_ = 0;
  std::thread thread_;
};

}  // namespace shadow
