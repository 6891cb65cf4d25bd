#include "tests/demo/worker.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tests/demo/http_wire.h"
#include "tests/demo/test_worker.h"

namespace shadow::demo {
namespace {

absl::Duration Now() { return SystemClock().Now().mono; }

int GetStatus(TestConnection& connection, std::string_view path) {
  connection.Get(path);
  return connection.ReadStatus();
}

TEST_CASE("the worker answers work, health and nothing else, and keeps the connection") {
  TestWorker worker(WorkerOptions{.capacity = 1000, .service_time = absl::Milliseconds(1)});
  TestConnection connection(worker.port());
  REQUIRE(connection.connected());
  CHECK(GetStatus(connection, "/") == 200);
  CHECK(GetStatus(connection, "/healthz") == 200);
  CHECK(GetStatus(connection, "/?query=1") == 200);
  CHECK(GetStatus(connection, "/other") == 404);
  connection.Send("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(connection.ReadStatus() == 405);
  connection.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  CHECK(connection.ReadStatus() == 200);
}

TEST_CASE("two pipelined requests get two answers in order") {
  TestWorker worker(WorkerOptions{.capacity = 1000, .service_time = absl::Milliseconds(1)});
  TestConnection connection(worker.port());
  connection.Send("GET / HTTP/1.1\r\n\r\nGET /nowhere HTTP/1.1\r\n\r\n");
  CHECK(connection.ReadStatus() == 200);
  CHECK(connection.ReadStatus() == 404);
}

TEST_CASE("hostile input is refused with a status and the connection is closed") {
  struct Row {
    std::string sent;
    int status;
  };
  const std::vector<Row> rows = {
      {"nonsense\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\n\r\n", 400},
      {"GET noslash HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n: no name\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nbad name: x\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 431},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
      {"GET / HTTP/1.1\r\nX: " + std::string(kHeadMaxBytes, 'x'), 431},
  };
  TestWorker worker(WorkerOptions{});
  for (const Row& row : rows) {
    INFO(row.sent.substr(0, 60));
    TestConnection connection(worker.port());
    connection.Send(row.sent);
    CHECK(connection.ReadStatus() == row.status);
    CHECK(connection.ClosedByPeer());
  }
  TestConnection connection(worker.port());
  CHECK(GetStatus(connection, "/healthz") == 200);
}

TEST_CASE("a request that is never finished is cut off") {
  TestWorker worker(WorkerOptions{});
  TestConnection connection(worker.port());
  connection.Send("GET / HTT");
  CHECK(connection.ClosedByPeer());
}

TEST_CASE("more requests than the capacity take as long as the capacity says") {
  // 20 requests at 100/s: the last is answered after 20 / 100 = 0.2 s.
  TestWorker worker(WorkerOptions{.capacity = 100, .service_time = absl::Milliseconds(40)});
  std::vector<std::unique_ptr<TestConnection>> connections;
  for (int i = 0; i < 20; ++i) {
    connections.push_back(std::make_unique<TestConnection>(worker.port()));
  }
  const absl::Duration start = Now();
  for (auto& connection : connections) connection->Get("/");
  for (auto& connection : connections) CHECK(connection->ReadStatus() == 200);
  CHECK(Now() - start >= absl::Milliseconds(195));
}

TEST_CASE("beyond the queue it answers 503 at once, and health still answers") {
  TestWorker worker(WorkerOptions{.capacity = 1, .service_time = absl::Seconds(1), .queue_max = 1});
  TestConnection first(worker.port());
  first.Get("/");
  TestConnection second(worker.port());
  // The first holds the only slot once the second waits and a third is refused.
  second.Get("/");
  TestConnection health(worker.port());
  int refused = 0;
  while (refused == 0) {
    TestConnection third(worker.port());
    if (GetStatus(third, "/healthz") != 200) break;
    refused = GetStatus(third, "/") == 503 ? 1 : 0;
  }
  CHECK(refused == 1);
  CHECK(GetStatus(health, "/healthz") == 200);
  CHECK(first.ReadStatus() == 200);
  CHECK(second.ReadStatus() == 200);
}

TEST_CASE("it fails, and slows down, after as many requests as asked") {
  WorkerOptions options{.capacity = 1000, .service_time = absl::Milliseconds(1)};
  options.faults.fail_after = 2;
  options.faults.slow_after = 1;
  options.faults.slow_by = absl::Milliseconds(200);
  TestWorker worker(options);
  TestConnection connection(worker.port());
  CHECK(GetStatus(connection, "/") == 200);
  const absl::Duration start = Now();
  CHECK(GetStatus(connection, "/") == 200);
  CHECK(Now() - start >= absl::Milliseconds(200));
  CHECK(GetStatus(connection, "/") == 500);
  CHECK(GetStatus(connection, "/healthz") == 200);
}

TEST_CASE("it fails the share of requests that was asked for") {
  WorkerOptions options{.capacity = 10000, .service_time = absl::Microseconds(100)};
  options.faults.fail_ratio = 0.5;
  TestWorker worker(options);
  TestConnection connection(worker.port());
  int failed = 0;
  for (int i = 0; i < 100; ++i) failed += GetStatus(connection, "/") == 500 ? 1 : 0;
  CHECK(failed > 25);
  CHECK(failed < 75);
}

TEST_CASE("it exits after as many requests as asked") {
  WorkerOptions options{.capacity = 1000, .service_time = absl::Milliseconds(1)};
  options.faults.exit_after = 1;
  TestWorker worker(options);
  TestConnection connection(worker.port());
  CHECK(GetStatus(connection, "/") == 200);
  CHECK(worker.Wait() == kExitAfterStatus);
}

TEST_CASE("told to stop, it refuses new connections and answers what it has") {
  TestWorker worker(WorkerOptions{.capacity = 4, .service_time = absl::Milliseconds(250)});
  TestConnection idle(worker.port());
  CHECK(GetStatus(idle, "/healthz") == 200);
  TestConnection busy(worker.port());
  busy.Get("/");
  TestConnection queued(worker.port());
  queued.Get("/");
  CHECK(GetStatus(idle, "/healthz") == 200);
  worker.Stop();
  CHECK(idle.ClosedByPeer());
  CHECK_FALSE(TestConnection(worker.port()).connected());
  CHECK(busy.ReadStatus() == 200);
  CHECK(queued.ReadStatus() == 200);
  CHECK(worker.Wait() == 0);
}

TEST_CASE("options out of range are refused by name") {
  const SystemClock clock;
  const auto message = [&](const WorkerOptions& options) {
    const auto worker = DemoWorker::Listen(options, clock);
    return worker.ok() ? std::string() : std::string(worker.status().message());
  };
  CHECK(message({.capacity = 0}).find("capacity") == 0);
  CHECK(message({.service_time = absl::ZeroDuration()}).find("service-time") == 0);
  CHECK(message({.port = 70000}).find("port") == 0);
  CHECK(message({.queue_max = -1}).find("queue") == 0);
  CHECK(message({.faults = {.fail_ratio = 1.5}}).find("fail-ratio") == 0);
}

}  // namespace
}  // namespace shadow::demo
