// A small HTTP/1.1 server on loopback whose behaviour is a knob: slow, failing, frozen, gone.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/fakes/loopback_socket.h"

namespace shadow {

// One thread per connection, kept alive. `GET /health` is the health check and is not counted;
// everything else answers with the origin's name. Thread-safe.
class HttpOrigin {
 public:
  // Listens at once. `port` 0: a free one.
  explicit HttpOrigin(std::string name, int port = 0) : name_(std::move(name)), port_(port) {
    Start();
  }
  HttpOrigin(const HttpOrigin&) = delete;
  HttpOrigin& operator=(const HttpOrigin&) = delete;
  ~HttpOrigin() { Stop(); }

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // Status of every answer but the health check's.
  void SetStatus(int status) { status_ = status; }

  // How long an answer takes, in whole milliseconds.
  void SetDelay(absl::Duration delay) { delay_ms_ = absl::ToInt64Milliseconds(delay); }

  // The health check answers 503.
  void SetHealthy(bool healthy) { healthy_ = healthy; }

  // Closes the connection instead of an answer.
  void SetHangUp(bool hang_up) { hang_up_ = hang_up; }

  // As SIGSTOP: connections are still accepted by the kernel, nothing is answered.
  void SetFrozen(bool frozen) {
    const std::lock_guard lock(mutex_);
    frozen_ = frozen;
    wake_.notify_all();
  }

  // Requests that came, without health checks.
  int64_t requests() const { return requests_; }

  // Connections that are open now, those of health checks too. A connection that the kernel has
  // accepted before this origin answers somebody else is among them.
  int connections() {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::count_if(connections_.begin(), connections_.end(),
                                          [](const auto& c) { return !c->done; }));
  }

  // As kill -9: everything is closed at once, in mid-answer too.
  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      wake_.notify_all();
      if (listener_) shutdown(listener_.fd(), SHUT_RDWR);
      for (const auto& connection : connections_) shutdown(connection->socket.fd(), SHUT_RDWR);
    }
    if (acceptor_.joinable()) acceptor_.join();
    for (const auto& connection : connections_) connection->thread.join();
    connections_.clear();
    listener_.Close();
  }

  // Again on the same port, after Stop.
  void Start() {
    listener_ = ListenOnLoopback(port_);
    port_ = LocalPort(listener_);
    {
      const std::lock_guard lock(mutex_);
      stopping_ = false;
      frozen_ = false;
    }
    acceptor_ = std::thread([this] { Accept(); });
  }

 private:
  static constexpr size_t kConnectionsMax = 1024;

  struct Connection {
    TestSocket socket;
    std::thread thread;
    std::atomic<bool> done = false;
  };

  void Accept() {
    while (true) {
      TestSocket socket(accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      std::erase_if(connections_, [](const auto& connection) {
        if (!connection->done) return false;
        connection->thread.join();
        return true;
      });
      if (!socket || connections_.size() >= kConnectionsMax) continue;
      connections_.push_back(std::make_unique<Connection>());
      Connection& connection = *connections_.back();
      connection.socket = std::move(socket);
      connection.thread = std::thread([this, &connection] {
        while (ServeOne(connection.socket)) {
        }
        shutdown(connection.socket.fd(), SHUT_RDWR);
        connection.done = true;
      });
    }
  }

  // False where the connection ends.
  bool ServeOne(const TestSocket& socket) {
    std::string request;
    while (request.find("\r\n\r\n") == std::string::npos) {
      if (!ReceiveMore(socket, request)) return false;
    }
    const bool health = request.starts_with("GET /health ");
    if (!health) ++requests_;
    if (!WaitWhile(absl::Milliseconds(health ? 0 : delay_ms_.load()))) return false;
    if (!health && hang_up_) return false;
    const int health_status = healthy_ ? 200 : 503;
    const int status = health ? health_status : status_.load();
    return SendAll(socket, "HTTP/1.1 " + std::to_string(status) + " Answer\r\nContent-Length: " +
                               std::to_string(name_.size()) + "\r\n\r\n" + name_);
  }

  // For `delay`, and while frozen. False: stopped meanwhile.
  bool WaitWhile(absl::Duration delay) {
    std::unique_lock lock(mutex_);
    if (delay > absl::ZeroDuration()) {
      wake_.wait_for(lock, absl::ToChronoNanoseconds(delay), [this] { return stopping_; });
    }
    wake_.wait(lock, [this] { return stopping_ || !frozen_; });
    return !stopping_;
  }

  const std::string name_;
  int port_;
  TestSocket listener_;
  std::thread acceptor_;
  std::atomic<int> status_ = 200;
  std::atomic<int64_t> delay_ms_ = 0;
  std::atomic<bool> healthy_ = true;
  std::atomic<bool> hang_up_ = false;
  std::atomic<int64_t> requests_ = 0;

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable wake_;
  std::list<std::unique_ptr<Connection>> connections_;
  bool stopping_ = false;
  bool frozen_ = false;
};

}  // namespace shadow
