#include "tests/demo/load.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <numeric>
#include <thread>
#include <vector>

#include "tests/demo/test_worker.h"

namespace shadow::demo {
namespace {

const std::atomic<bool> kNeverStop = false;

LoadReport RunLoad(const LoadOptions& options) {
  const SystemClock clock;
  LoadRun run(options, clock);
  REQUIRE(run.Run(clock.Now().mono, kNeverStop).ok());
  return run.Snapshot();
}

TEST_CASE("the nearest rank of a few samples is as computed by hand") {
  const std::vector<double> four = {1, 2, 3, 4};
  CHECK(NearestRank(four, 0.5) == 2);
  CHECK(NearestRank(four, 0.51) == 3);
  CHECK(NearestRank(four, 0.99) == 4);
  CHECK(NearestRank(four, 0) == 1);
  CHECK(NearestRank({}, 0.5) == 0);
  std::vector<double> hundred(100);
  std::iota(hundred.begin(), hundred.end(), 1.0);
  CHECK(NearestRank(hundred, 0.99) == 99);
}

TEST_CASE("every request of the curve is sent, answered and counted in its step") {
  for (const bool keep_alive : {true, false}) {
    TestWorker worker(WorkerOptions{.capacity = 5000, .service_time = absl::Milliseconds(1)});
    const LoadReport report = RunLoad({.port = worker.port(),
                                       .rates = {100, 0, 300},
                                       .step = absl::Milliseconds(200),
                                       .keep_alive = keep_alive});
    CHECK(report.sent == 80);
    CHECK(report.ok == 80);
    CHECK(report.failed == 0);
    REQUIRE(report.steps.size() == 3);
    CHECK(report.steps[0].arrivals == 20);
    CHECK(report.steps[1].arrivals == 0);
    CHECK(report.steps[2].ok == 60);
    CHECK(report.latencies_ms.size() == 80);
    CHECK(report.latencies_ms.front() >= 1);
  }
}

TEST_CASE("500 requests a second are sent on time") {
  TestWorker worker(WorkerOptions{.capacity = 5000, .service_time = absl::Milliseconds(1)});
  const SystemClock clock;
  const absl::Duration start = clock.Now().mono;
  const LoadReport report = RunLoad({.port = worker.port(), .rates = {500, 500}});
  CHECK(report.ok == 1000);
  CHECK(clock.Now().mono - start < absl::Milliseconds(2500));
  CHECK(NearestRank(report.latencies_ms, 0.5) < 50);
}

TEST_CASE("latency counts from the due time, so a slow server cannot hide its queue") {
  // 40 requests fall due within 0.1 s, the server passes 100/s: the last waits about 0.3 s.
  TestWorker worker(WorkerOptions{.capacity = 100, .service_time = absl::Milliseconds(10)});
  const LoadReport report = RunLoad({.port = worker.port(),
                                     .rates = {400},
                                     .step = absl::Milliseconds(100),
                                     .connections_max = 1});
  CHECK(report.ok == 40);
  CHECK(report.latencies_ms.back() >= 290);
  CHECK(NearestRank(report.latencies_ms, 0.5) >= 120);
}

TEST_CASE("what is not 2xx fails") {
  WorkerOptions options{.capacity = 5000, .service_time = absl::Milliseconds(1)};
  options.faults.fail_after = 30;
  TestWorker worker(options);
  const LoadReport report =
      RunLoad({.port = worker.port(), .rates = {400}, .step = absl::Milliseconds(100)});
  CHECK(report.ok == 30);
  CHECK(report.failed == 10);
  CHECK(report.failed_status == 10);
}

TEST_CASE("a server that is not there fails every request") {
  int port = 0;
  {
    TestWorker worker(WorkerOptions{});
    port = worker.port();
  }
  const LoadReport report =
      RunLoad({.port = port, .rates = {100}, .step = absl::Milliseconds(100)});
  CHECK(report.failed_connection == 10);
  CHECK(report.sent == 10);
}

TEST_CASE("a request that is not answered in time fails as timed out") {
  TestWorker worker(WorkerOptions{.capacity = 1, .service_time = absl::Seconds(1)});
  const LoadReport report = RunLoad({.port = worker.port(),
                                     .rates = {30},
                                     .step = absl::Milliseconds(100),
                                     .timeout = absl::Milliseconds(200)});
  CHECK(report.failed_timeout == 3);
  CHECK(report.latencies_ms.front() >= 200);
}

TEST_CASE("a run that is told to stop returns") {
  TestWorker worker(WorkerOptions{});
  const SystemClock clock;
  LoadRun run({.port = worker.port(), .rates = std::vector<double>(100, 1.0)}, clock);
  std::atomic<bool> stop = false;
  std::thread runner([&] { CHECK(run.Run(clock.Now().mono, stop).ok()); });
  stop = true;
  runner.join();
  CHECK(run.Snapshot().sent < 100);
}

TEST_CASE("bad options are refused by name") {
  const SystemClock clock;
  const auto message = [&](const LoadOptions& options) {
    return std::string(LoadRun(options, clock).Run(clock.Now().mono, kNeverStop).message());
  };
  CHECK(message({.host = "localhost", .port = 80}).find("host") == 0);
  CHECK(message({.port = 0}).find("port") == 0);
  CHECK(message({.port = 80, .step = absl::ZeroDuration()}).find("step") == 0);
  CHECK(message({.port = 80, .connections_max = 0}).find("connections") == 0);
}

TEST_CASE("the JSON report holds counts, quantiles and steps") {
  const LoadReport report{.sent = 3,
                          .ok = 2,
                          .failed = 1,
                          .failed_timeout = 1,
                          .latencies_ms = {1, 2, 4},
                          .steps = {{.arrivals = 3, .ok = 2, .failed = 1}}};
  CHECK(LoadReportJson(report) ==
        "{\"sent\": 3, \"ok\": 2, \"failed\": 1, \"failed_status\": 0, \"failed_connection\": 0, "
        "\"failed_timeout\": 1, \"latency_p50_ms\": 2.000, \"latency_p90_ms\": 4.000, "
        "\"latency_p99_ms\": 4.000, \"latency_max_ms\": 4.000, \"steps\": "
        "[{\"arrivals\": 3, \"ok\": 2, \"failed\": 1}]}\n");
}

}  // namespace
}  // namespace shadow::demo
