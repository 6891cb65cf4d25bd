// An HTTP server on loopback that answers with whatever bytes a test gives it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fakes/loopback_socket.h"

namespace shadow {

inline std::string RawReply(int status, const std::string& body, const std::string& more = "") {
  return "HTTP/1.1 " + std::to_string(status) + " Answer\r\nConnection: close\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// One connection after the other, closed after its answer. Thread-safe.
class ScriptedHttp {
 public:
  // Gets the whole request without its body; returns all bytes of the answer.
  using Answer = std::function<std::string(const std::string& request)>;

  explicit ScriptedHttp(Answer answer)
      : answer_(std::move(answer)), listener_(ListenOnLoopback(0)), port_(LocalPort(listener_)) {
    thread_ = std::thread([this] { Serve(); });
  }
  ScriptedHttp(const ScriptedHttp&) = delete;
  ScriptedHttp& operator=(const ScriptedHttp&) = delete;
  ~ScriptedHttp() { Stop(); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  void SetAnswer(Answer answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }

  // Connections are accepted by the kernel, and nothing is answered.
  void SetFrozen(bool frozen) {
    const std::lock_guard lock(mutex_);
    frozen_ = frozen;
    wake_.notify_all();
  }

  // A byte each 50 ms.
  void SetDripping(bool dripping) {
    const std::lock_guard lock(mutex_);
    dripping_ = dripping;
  }

  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      wake_.notify_all();
    }
    if (listener_) shutdown(listener_.fd(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    listener_.Close();
  }

 private:
  static constexpr std::chrono::milliseconds kDrip{50};

  void Serve() {
    while (true) {
      const TestSocket socket(accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket) return;
      const timeval timeout{.tv_sec = 5, .tv_usec = 0};
      setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
      std::string request;
      bool whole = true;
      while (whole && request.find("\r\n\r\n") == std::string::npos) {
        whole = ReceiveMore(socket, request);
      }
      if (whole) Reply(socket, request);
    }
  }

  void Reply(const TestSocket& socket, const std::string& request) {
    std::unique_lock lock(mutex_);
    requests_.push_back(request);
    wake_.wait(lock, [this] { return stopping_ || !frozen_; });
    if (stopping_) return;
    const Answer answer = answer_;
    const bool dripping = dripping_;
    lock.unlock();
    const std::string bytes = answer(request);
    if (!dripping) {
      SendAll(socket, bytes);
      return;
    }
    for (const char c : bytes) {
      lock.lock();
      if (wake_.wait_for(lock, kDrip, [this] { return stopping_; })) return;
      lock.unlock();
      if (!SendAll(socket, std::string(1, c))) return;
    }
  }

  mutable std::mutex mutex_;  // Guards what follows, up to `listener_`.
  std::condition_variable wake_;
  Answer answer_;
  bool frozen_ = false;
  bool dripping_ = false;
  bool stopping_ = false;
  std::vector<std::string> requests_;

  TestSocket listener_;
  const int port_;
  std::thread thread_;
};

}  // namespace shadow
