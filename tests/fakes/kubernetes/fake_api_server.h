// An API server of Kubernetes on loopback, over plain HTTP/1.1, that serves pods in memory and can
// fail in the ways that real ones do.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "shadow/v1/pool.pb.h"
#include "tests/fakes/kubernetes/fake_pods.h"
#include "tests/fakes/loopback_socket.h"

namespace shadow {

// One thread per connection. Thread-safe.
class FakeApiServer {
 public:
  using Answer = FakePods::Answer;

  explicit FakeApiServer(FakePods& pods) : pods_(pods) { Start(); }
  FakeApiServer(const FakeApiServer&) = delete;
  FakeApiServer& operator=(const FakeApiServer&) = delete;
  ~FakeApiServer() { Stop(); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  v1::KubernetesProvider Spec() const {
    v1::KubernetesProvider spec;
    spec.set_api_server(url());
    spec.set_namespace_("shop");
    return spec;
  }

  // The next `times` requests but watches are answered so.
  void Fail(Answer answer, int times) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(answer);
    failures_ = times;
  }
  // Only those of this method fail; empty: all.
  void FailOnly(std::string method) {
    const std::lock_guard lock(mutex_);
    failing_method_ = std::move(method);
  }
  // Whoever has another token is answered 401; empty: none is looked at.
  void SetToken(std::string token) {
    const std::lock_guard lock(mutex_);
    token_ = std::move(token);
  }
  // Nothing is answered, and watches are silent.
  void SetFrozen(bool frozen) {
    const std::lock_guard lock(mutex_);
    frozen_ = frozen;
    wake_.notify_all();
  }
  // Answers end after half of their bytes.
  void SetCut(bool cut) { cut_ = cut; }
  // Answers are so many bytes longer, in white space.
  void SetPadding(size_t bytes) { padding_ = bytes; }
  void BreakWatches() { ++watch_age_; }

  int requests() const { return requests_; }  // Without watches.
  int watches() const { return watches_; }    // That have begun.

  // As kill -9.
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
  // Again on the same port.
  void Start() {
    listener_ = ListenOnLoopback(port_);
    port_ = LocalPort(listener_);
    {
      const std::lock_guard lock(mutex_);
      stopping_ = false;
    }
    acceptor_ = std::thread([this] { Accept(); });
  }

 private:
  struct Connection {
    TestSocket socket;
    std::thread thread;
    std::atomic<bool> done = false;
  };
  struct Request {
    FakePods::Query query;
    std::string token;
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
      if (!socket) continue;
      connections_.push_back(std::make_unique<Connection>());
      Connection& connection = *connections_.back();
      connection.socket = std::move(socket);
      connection.thread = std::thread([this, &connection] {
        std::string buffer;
        while (ServeOne(connection.socket, buffer)) {
        }
        shutdown(connection.socket.fd(), SHUT_RDWR);
        connection.done = true;
      });
    }
  }

  static std::string Unescaped(const std::string& text) {
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '%' && i + 2 < text.size()) {
        plain += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
        i += 2;
      } else {
        plain += text[i];
      }
    }
    return plain;
  }

  static std::string HeaderOf(const std::string& head, const std::string& name) {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }

  static std::optional<Request> Receive(const TestSocket& socket, std::string& buffer) {
    size_t end = std::string::npos;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!ReceiveMore(socket, buffer)) return std::nullopt;
    }
    const std::string head = buffer.substr(0, end + 2);
    const std::string length = HeaderOf(head, "Content-Length");
    const size_t all = end + 4 + (length.empty() ? 0 : std::stoul(length));
    while (buffer.size() < all) {
      if (!ReceiveMore(socket, buffer)) return std::nullopt;
    }
    Request request;
    const size_t space = head.find(' ');
    request.query.method = head.substr(0, space);
    std::string target = head.substr(space + 1, head.find(' ', space + 1) - space - 1);
    const size_t question = target.find('?');
    request.query.path = target.substr(0, question);
    std::string rest = question == std::string::npos ? "" : target.substr(question + 1);
    while (!rest.empty()) {
      const std::string one = rest.substr(0, rest.find('&'));
      rest.erase(0, std::min(rest.size(), one.size() + 1));
      const size_t equal = one.find('=');
      request.query.arguments[one.substr(0, equal)] =
          equal == std::string::npos ? "" : Unescaped(one.substr(equal + 1));
    }
    request.query.body =
        FakePods::Json::parse(buffer.substr(end + 4, all - end - 4), nullptr, false);
    request.token = HeaderOf(head, "Authorization");
    buffer.erase(0, all);
    return request;
  }

  // False where the connection ends.
  bool ServeOne(const TestSocket& socket, std::string& buffer) {
    const auto request = Receive(socket, buffer);
    if (!request.has_value() || !AwaitThaw()) return false;
    const bool watch = request->query.arguments.contains("watch");
    {
      const std::lock_guard lock(mutex_);
      if (!token_.empty() && request->token != "Bearer " + token_) {
        return Send(socket, FakePods::Refusal(401, "Unauthorized", "Unauthorized"));
      }
    }
    if (watch) return Watch(socket, request->query);
    ++requests_;
    {
      std::unique_lock lock(mutex_);
      const bool meant = failing_method_.empty() || failing_method_ == request->query.method;
      if (failures_ > 0 && meant) {
        --failures_;
        const Answer failure = failure_;
        lock.unlock();
        return Send(socket, failure);
      }
    }
    return Send(socket, pods_.Handle(request->query));
  }

  bool Send(const TestSocket& socket, const Answer& answer) {
    std::string body = answer.body.dump() + std::string(padding_, ' ');
    std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " Answer\r\n" +
                       answer.headers + "Content-Length: " + std::to_string(body.size()) +
                       "\r\n\r\n" + body;
    if (cut_) {
      SendAll(socket, text.substr(0, text.size() - body.size() / 2 - 1));
      return false;
    }
    return SendAll(socket, text);
  }

  bool Watch(const TestSocket& socket, const FakePods::Query& query) {
    ++watches_;
    int64_t version = std::stoll(query.arguments.at("resourceVersion"));
    const int age = watch_age_;
    if (!SendAll(socket, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")) return false;
    while (age == watch_age_ && AwaitThaw()) {
      std::string line;
      const bool more = pods_.Next(version, absl::Milliseconds(20), line);
      if (!line.empty() && !SendAll(socket, line + "\n")) return false;
      if (!more) return false;
    }
    return false;
  }

  // False: it stops.
  bool AwaitThaw() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !frozen_; });
    return !stopping_;
  }

  FakePods& pods_;
  int port_ = 0;
  TestSocket listener_;
  std::thread acceptor_;
  std::atomic<bool> cut_ = false;
  std::atomic<size_t> padding_ = 0;
  std::atomic<int> watch_age_ = 0;
  std::atomic<int> requests_ = 0;
  std::atomic<int> watches_ = 0;

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable wake_;
  std::list<std::unique_ptr<Connection>> connections_;
  Answer failure_;
  int failures_ = 0;
  std::string failing_method_;
  std::string token_;
  bool stopping_ = false;
  bool frozen_ = false;
};

}  // namespace shadow
