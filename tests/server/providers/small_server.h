// Peers for tests of probers: one that answers as it is told, and one where nothing listens.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fakes/test_dna.h"

namespace shadow {

inline std::string Response(int status, const std::string& body = "ok",
                            const std::string& header = "") {
  return "HTTP/1.1 " + std::to_string(status) +
         " x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + header + "\r\n" + body;
}

inline constexpr char kHangUp[] = "hang up";

// Answers one connection at a time on a free port of 127.0.0.1.
class SmallServer {
 public:
  // `answer` gives the bytes to send for the n-th request (from 0); empty: none, the connection
  // stays; kHangUp: none, it is closed.
  explicit SmallServer(std::function<std::string(int)> answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(listen(listener_, 8) == 0);
    REQUIRE(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::jthread([this](const std::stop_token& stop) { Serve(stop); });
  }
  ~SmallServer() {
    thread_.request_stop();
    thread_.join();
    close(listener_);
  }

  const std::string& address() const { return address_; }
  int requests() const { return requests_; }
  int connections() const { return connections_; }
  // The first lines of all requests.
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  // Of the last request.
  std::string first_line() const { return lines().back(); }

 private:
  static bool Readable(int fd) {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    return poll(&waiting, 1, 10) > 0;
  }

  void Serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (!Readable(listener_)) continue;
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      ++connections_;
      Talk(fd, stop);
      close(fd);
    }
  }

  void Talk(int fd, const std::stop_token& stop) {
    std::string request;
    std::array<char, 4096> buffer{};
    while (!stop.stop_requested()) {
      if (!Readable(fd)) continue;
      const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
      if (got <= 0) return;
      request.append(buffer.data(), static_cast<size_t>(got));
      if (request.find("\r\n\r\n") == std::string::npos) continue;
      {
        const std::lock_guard lock(mutex_);
        lines_.push_back(request.substr(0, request.find("\r\n")));
      }
      request.clear();
      const std::string response = answer_(requests_++);
      if (response == kHangUp) return;
      size_t sent = 0;
      while (sent < response.size()) {
        const ssize_t n = send(fd, response.data() + sent, response.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += static_cast<size_t>(n);
      }
    }
  }

  std::function<std::string(int)> answer_;
  int listener_ = -1;
  std::string address_;
  std::atomic<int> requests_ = 0;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  std::jthread thread_;
};

// Nothing listens there: bound, but not listening, until its end.
class ClosedPort {
 public:
  ClosedPort() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ClosedPort(const ClosedPort&) = delete;
  ClosedPort& operator=(const ClosedPort&) = delete;
  ~ClosedPort() { close(fd_); }
  const std::string& address() const { return address_; }

 private:
  int fd_;
  std::string address_;
};

// Its check is a GET of /healthz.
inline CompiledDna HttpDna(std::optional<int> expected = std::nullopt) {
  CompiledDna dna = TestDna();
  v1::HttpCheck& check = *dna.dna.mutable_process()->mutable_ready_check()->mutable_http();
  check.set_path("/healthz");
  if (expected.has_value()) check.set_expected_status(*expected);
  dna.ready_timeout = absl::Milliseconds(500);
  return dna;
}

// So many requests of /warm in a row.
inline CompiledDna WarmUpDna(int requests) {
  CompiledDna dna = TestDna();
  dna.dna.mutable_warm_up()->set_requests(requests);
  dna.dna.mutable_warm_up()->set_path("/warm");
  return dna;
}

}  // namespace shadow
