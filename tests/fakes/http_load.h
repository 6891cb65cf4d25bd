// A steady load of GET requests, counted.
#pragma once

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fakes/loopback_socket.h"

namespace shadow {

struct HttpReply {
  int status = 0;
  std::string body;
};

// A client with one connection, kept alive. One thread.
class HttpClient {
 public:
  explicit HttpClient(int port, int timeout_seconds = 30)
      : port_(port), timeout_seconds_(timeout_seconds) {}

  // Unset: no complete answer. A kept-alive connection that the peer closed before it answered
  // anything is replaced once, as every HTTP client does, and counted in reconnects().
  std::optional<HttpReply> Get(std::string_view path) {
    const bool reused = static_cast<bool>(socket_);
    if (!reused) socket_ = ConnectToLoopback(port_, timeout_seconds_);
    std::string buffer;
    std::optional<HttpReply> reply = socket_ ? Exchange(path, buffer) : std::nullopt;
    if (!reply && reused && buffer.empty()) {
      ++reconnects_;
      socket_ = ConnectToLoopback(port_, timeout_seconds_);
      if (socket_) reply = Exchange(path, buffer);
    }
    if (!reply) socket_.Close();
    return reply;
  }

  int64_t reconnects() const { return reconnects_; }

 private:
  std::optional<HttpReply> Exchange(std::string_view path, std::string& buffer) {
    buffer.clear();
    const std::string request = "GET " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    if (!SendAll(socket_, request)) return std::nullopt;
    size_t end = std::string::npos;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!ReceiveMore(socket_, buffer)) return std::nullopt;
    }
    std::string head = buffer.substr(0, end + 2);
    std::transform(head.begin(), head.end(), head.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const size_t length = Number(head, "\r\ncontent-length: ").value_or(0);
    while (buffer.size() < end + 4 + length) {
      if (!ReceiveMore(socket_, buffer)) return std::nullopt;
    }
    HttpReply reply;
    reply.status = static_cast<int>(Number(head, "http/1.1 ").value_or(0));
    reply.body = buffer.substr(end + 4, length);
    if (head.find("\r\nconnection: close") != std::string::npos) socket_.Close();
    return reply;
  }

  static std::optional<size_t> Number(const std::string& head, std::string_view after) {
    const size_t at = head.find(after);
    if (at == std::string::npos) return std::nullopt;
    size_t number = 0;
    const char* begin = head.data() + at + after.size();
    const auto parsed = std::from_chars(begin, head.data() + head.size(), number);
    return parsed.ec == std::errc() ? std::optional(number) : std::nullopt;
  }

  const int port_;
  const int timeout_seconds_;
  TestSocket socket_;
  int64_t reconnects_ = 0;
};

// Runs from construction until Stop.
class HttpLoad {
 public:
  struct Options {
    int port = 0;
    int clients = 8;                 // Connections, each with a thread.
    double requests_per_second = 0;  // Of all clients together; 0: as fast as answers come.
    std::string path = "/";
  };
  struct Result {
    int64_t ok = 0;      // 2xx
    int64_t failed = 0;  // Any other status, or no answer.
    int64_t reconnects = 0;
    std::vector<double> latency_ms;          // Of all that were answered, ascending.
    std::map<std::string, int64_t> by_body;  // 2xx answers.
    std::map<int, int64_t> by_status;        // 0: no answer.

    // `share` in [0, 1]: 0.5 is the median, 1 the slowest. 0 where there is none.
    double LatencyMs(double share) const {
      if (latency_ms.empty()) return 0;
      const auto last = static_cast<double>(latency_ms.size() - 1);
      return latency_ms[static_cast<size_t>(share * last)];
    }
  };

  explicit HttpLoad(Options options) : options_(std::move(options)) {
    for (int i = 0; i < options_.clients; ++i) threads_.emplace_back([this] { Run(); });
  }
  HttpLoad(const HttpLoad&) = delete;
  HttpLoad& operator=(const HttpLoad&) = delete;
  ~HttpLoad() { Stop(); }

  // So far.
  int64_t answered() const { return answered_; }
  int64_t failed() const { return failed_; }

  // The second time: what the first said.
  Result Stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      wake_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    std::sort(result_.latency_ms.begin(), result_.latency_ms.end());
    return result_;
  }

 private:
  using Time = std::chrono::steady_clock;

  void Run() {
    HttpClient client(options_.port);
    Result own;
    const std::chrono::duration<double> gap(
        options_.requests_per_second > 0 ? options_.clients / options_.requests_per_second : 0);
    auto next = Time::now();
    while (WaitUntil(next)) {
      next += std::chrono::duration_cast<Time::duration>(gap);
      const auto begin = Time::now();
      const std::optional<HttpReply> reply = client.Get(options_.path);
      const std::chrono::duration<double, std::milli> took = Time::now() - begin;
      const bool ok = reply && reply->status >= 200 && reply->status < 300;
      ++own.by_status[reply ? reply->status : 0];
      if (ok) ++own.by_body[reply->body];
      ++(ok ? own.ok : own.failed);
      if (reply) own.latency_ms.push_back(took.count());
      ++(ok ? answered_ : failed_);
    }
    own.reconnects = client.reconnects();
    Merge(own);
  }

  // False once it is to stop.
  bool WaitUntil(Time::time_point time) {
    std::unique_lock lock(mutex_);
    wake_.wait_until(lock, time, [this] { return stopping_; });
    return !stopping_;
  }

  void Merge(const Result& own) {
    const std::lock_guard lock(mutex_);
    result_.ok += own.ok;
    result_.failed += own.failed;
    result_.reconnects += own.reconnects;
    result_.latency_ms.insert(result_.latency_ms.end(), own.latency_ms.begin(),
                              own.latency_ms.end());
    for (const auto& [body, count] : own.by_body) result_.by_body[body] += count;
    for (const auto& [status, count] : own.by_status) result_.by_status[status] += count;
  }

  const Options options_;
  std::atomic<int64_t> answered_ = 0;
  std::atomic<int64_t> failed_ = 0;
  std::vector<std::thread> threads_;

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable wake_;
  bool stopping_ = false;
  Result result_;
};

}  // namespace shadow
