#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "server/web/http.h"
#include "tests/fakes/loopback_socket.h"
#include "tests/fakes/poll.h"

namespace shadow {
namespace {

constexpr int kHttpPatienceSeconds = 20;
constexpr size_t kLargeBody = 64 << 20;  // More than all buffers of a socket hold.

class CountingStream final : public HttpStream {
 public:
  explicit CountingStream(std::atomic<int>& open) : open_(open) { ++open_; }
  ~CountingStream() override { --open_; }
  std::string Next() override { return "data: " + std::to_string(next_++) + "\n\n"; }

 private:
  std::atomic<int>& open_;
  int next_ = 0;
};

HttpResponse TextResponse(std::string text) {
  HttpResponse response;
  response.body = std::make_shared<const std::string>(std::move(text));
  return response;
}

// A server on a free port, with "/echo", "/large", "/never", "/later" and the stream "/events".
class HttpWorld {
 public:
  HttpWorld() {
    HttpRoutes routes;
    routes.handlers["/echo"] = [](const HttpRequest& request, const auto& done) {
      done(TextResponse(request.path + "|" + request.query));
    };
    routes.handlers["/below/*"] = routes.handlers["/echo"];
    const HttpResponse large = TextResponse(std::string(kLargeBody, 'x'));
    routes.handlers["/large"] = [large](const HttpRequest&, const auto& done) { done(large); };
    routes.handlers["/never"] = [this](const HttpRequest&, auto done) {
      unanswered_.push_back(std::move(done));
    };
    routes.handlers["/later"] = [this](const HttpRequest&, auto done) {
      later_ = std::thread([done = std::move(done)] { done(TextResponse("at last")); });
    };
    routes.streams["/events"] = [this] { return std::make_unique<CountingStream>(streams_); };
    routes.headers.emplace_back("X-Frame-Options", "DENY");
    routes.stream_pause = absl::Milliseconds(1);
    auto started = HttpServer::Start("127.0.0.1:0", std::move(routes));
    REQUIRE(started.ok());
    server_ = *std::move(started);
    const std::string& address = server_->address();
    REQUIRE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port_));
  }
  ~HttpWorld() {
    if (later_.joinable()) later_.join();
  }

  TestSocket Connect() const { return ConnectToLoopback(port_, kHttpPatienceSeconds); }
  int streams() const { return streams_; }
  void End() { server_.reset(); }
  void AnswerTheUnanswered() {
    for (const auto& done : unanswered_) done(TextResponse("too late"));
  }

  // All that comes until the server closes the connection.
  std::string Exchange(const std::string& request) const {
    const TestSocket client = Connect();
    SendAll(client, request);
    std::string answer;
    while (ReceiveMore(client, answer)) continue;
    return answer;
  }
  std::string Get(const std::string& path) const {
    return Exchange("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  }

 private:
  std::atomic<int> streams_ = 0;
  std::vector<std::function<void(HttpResponse)>> unanswered_;  // Server's thread, until End.
  std::thread later_;
  int port_ = 0;
  std::unique_ptr<HttpServer> server_;  // Last: its thread uses what is above.
};

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string ReadUntil(const TestSocket& client, std::string_view end) {
  std::string answer;
  while (!Contains(answer, end) && ReceiveMore(client, answer)) continue;
  return answer;
}

}  // namespace

TEST_CASE("HTTP requests reach the handler of their path") {
  const HttpWorld world;
  const std::string answer = world.Get("/echo?a=1&b=%20");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer.ends_with("\r\n\r\n/echo|a=1&b=%20"));
  CHECK(Contains(answer, "X-Content-Type-Options: nosniff\r\n"));
  CHECK(Contains(answer, "X-Frame-Options: DENY\r\n"));
  CHECK(Contains(answer, "Content-Length: 15\r\n"));
  CHECK(world.Get("/below/a/b").ends_with("/below/a/b|"));
  CHECK(world.Get("/belowa").starts_with("HTTP/1.1 404 "));
  CHECK(world.Get("/").starts_with("HTTP/1.1 404 "));
  CHECK(world.Get("/later").ends_with("at last"));
}

TEST_CASE("an HTTP connection serves one request after another, also sent at once") {
  const HttpWorld world;
  const TestSocket client = world.Connect();
  const std::string request = "GET /echo?1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
  REQUIRE(SendAll(client, request + "GET /echo?2 HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(Contains(ReadUntil(client, "/echo|2"), "/echo|1"));
  REQUIRE(SendAll(client, request));
  CHECK(Contains(ReadUntil(client, "/echo|1"), "200 OK"));
}

TEST_CASE("HEAD answers with the headers of GET alone") {
  const HttpWorld world;
  const std::string answer =
      world.Exchange("HEAD /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  CHECK(Contains(answer, "Content-Length: 6\r\n"));
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("what is no request for this HTTP server is refused") {
  const HttpWorld world;
  const std::string host = "Host: localhost\r\n";
  const std::pair<std::string, std::string> rows[] = {
      {"no request at all\r\n\r\n", "400"},
      {std::string("\0\xff\x16\x03\x01\r\n\r\n", 9), "400"},
      {"GET /echo HTTP/9.9\r\n" + host + "\r\n", "400"},
      {"POST /echo HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", "405"},
      {"DELETE /echo HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", "405"},
      {"GET /echo HTTP/1.1\r\n" + host + "Content-Length: 9\r\n\r\nhello", "413"},
      {"GET /echo HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", "400"},
      {"GET /echo HTTP/1.1\r\n" + host + "X: " + std::string(9000, 'x') + "\r\n\r\n", "431"},
      {"GET /" + std::string(20'000, 'x') + " HTTP/1.1\r\n" + host + "\r\n", "431"},
      {"GET /echo HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n", "421"},
      {"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n", "421"},
      {"GET /echo HTTP/1.1\r\n" + host + "Host: rebound.example\r\n\r\n", "400"},
      {"GET http://rebound.example/echo HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", "404"},
      {"GET /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nZZ\r\n", "400"},
  };
  for (const auto& [request, status] : rows) {
    INFO(request.substr(0, 80));
    CHECK(world.Exchange(request).starts_with("HTTP/1.1 " + status + " "));
  }
  CHECK(world.Get("/echo").ends_with("/echo|"));
}

TEST_CASE("clients that ask nothing make place for one that asks") {
  const HttpWorld world;
  std::vector<TestSocket> silent;
  for (int i = 0; i < 2 * HttpServer::kConnectionsMax; ++i) {
    silent.push_back(world.Connect());
    REQUIRE(silent.back());
    SendAll(silent.back(), "GET /echo HTT");  // And no more.
  }
  CHECK(world.Get("/echo").ends_with("/echo|"));
  std::string nothing;
  CHECK(!ReceiveMore(silent.front(), nothing));  // It was closed.
}

TEST_CASE("HTTP clients that do not read their answers keep no other waiting") {
  HttpWorld world;
  std::vector<TestSocket> deaf;
  for (int i = 0; i < 8; ++i) {
    deaf.push_back(world.Connect());
    REQUIRE(SendAll(deaf.back(), "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  }
  CHECK(world.Get("/echo").ends_with("/echo|"));
  world.End();  // Nor does it wait for them at its end.
}

TEST_CASE("a handler that answers after the server has ended harms nothing") {
  HttpWorld world;
  const TestSocket client = world.Connect();
  REQUIRE(SendAll(client, "GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(world.Get("/echo").ends_with("/echo|"));
  world.End();
  std::string nothing;
  CHECK(!ReceiveMore(client, nothing));
  world.AnswerTheUnanswered();
}

TEST_CASE("HTTP event streams go on until their reader is gone, and are limited") {
  const HttpWorld world;
  const std::string request = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::vector<TestSocket> watchers;
  for (int i = 0; i < HttpServer::kStreamsMax; ++i) {
    watchers.push_back(world.Connect());
    REQUIRE(SendAll(watchers.back(), request));
    CHECK(Contains(ReadUntil(watchers.back(), "data: 3\n\n"), "text/event-stream"));
  }
  CHECK(world.streams() == HttpServer::kStreamsMax);
  const TestSocket late = world.Connect();
  REQUIRE(SendAll(late, request));
  CHECK(Contains(ReadUntil(late, "already\n"), "503"));
  watchers.clear();
  CHECK(PollUntil(kPatience, [&] { return world.streams() == 0; }));
}

}  // namespace shadow
