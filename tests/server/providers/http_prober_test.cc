#include "server/providers/http_prober.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/core/clock.h"
#include "tests/fakes/fake_prober.h"
#include "tests/fakes/poll.h"
#include "tests/fakes/test_dna.h"

namespace shadow {
namespace {

std::string Response(int status, const std::string& body = "ok", const std::string& header = "") {
  return "HTTP/1.1 " + std::to_string(status) +
         " x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + header + "\r\n" + body;
}

const std::string kHangUp = "hang up";

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

CompiledDna HttpDna(std::optional<int> expected = std::nullopt) {
  CompiledDna dna = TestDna();
  v1::HttpCheck& check = *dna.dna.mutable_process()->mutable_ready_check()->mutable_http();
  check.set_path("/healthz");
  if (expected.has_value()) check.set_expected_status(*expected);
  dna.ready_timeout = absl::Milliseconds(500);
  return dna;
}

CompiledDna WarmUpDna(int requests) {
  CompiledDna dna = TestDna();
  dna.dna.mutable_warm_up()->set_requests(requests);
  dna.dna.mutable_warm_up()->set_path("/warm");
  return dna;
}

TEST_CASE("an HTTP check passes on the statuses that it wants") {
  struct Row {
    int status;
    std::optional<int> expected;
    bool passes;
  };
  const std::vector<Row> rows = {{200, std::nullopt, true},  {204, std::nullopt, true},
                                 {302, std::nullopt, true},  {404, std::nullopt, false},
                                 {503, std::nullopt, false}, {503, 503, true},
                                 {200, 204, false}};
  const SystemClock clock;
  HttpProber prober(clock);
  for (const Row& row : rows) {
    INFO(row.status);
    const SmallServer server([&row](int) {
      return row.status == 204 ? "HTTP/1.1 204 x\r\n\r\n"
                               : Response(row.status, "ok", "Location: http://127.0.0.1:1/\r\n");
    });
    const absl::Status status = prober.Check(HttpDna(row.expected), server.address(), {});
    INFO(status.ToString());
    CHECK(status.code() == (row.passes ? absl::StatusCode::kOk : absl::StatusCode::kUnavailable));
    CHECK(server.first_line() == "GET /healthz HTTP/1.1");
    CHECK(server.requests() == 1);  // No redirect is followed.
  }
}

TEST_CASE("a check that gets no answer is unavailable") {
  const SystemClock clock;
  HttpProber prober(clock);
  const ClosedPort closed;
  CHECK(absl::IsUnavailable(prober.Check(HttpDna(), closed.address(), {})));
  const SmallServer silent([](int) { return std::string(); });
  CHECK(absl::IsUnavailable(prober.Check(HttpDna(), silent.address(), {})));
  const SmallServer nonsense([](int) { return std::string("what?\r\n\r\n"); });
  CHECK(absl::IsUnavailable(prober.Check(HttpDna(), nonsense.address(), {})));
}

TEST_CASE("a TCP check passes once the port accepts") {
  const SystemClock clock;
  HttpProber prober(clock);
  CompiledDna dna = TestDna();
  dna.dna.mutable_process()->mutable_ready_check()->mutable_tcp();
  const SmallServer server([](int) { return std::string(); });
  CHECK(prober.Check(dna, server.address(), {}).ok());
  const ClosedPort closed;
  CHECK(absl::IsUnavailable(prober.Check(dna, closed.address(), {})));
  CHECK(absl::IsInvalidArgument(prober.Check(dna, "localhost", {})));
}

TEST_CASE("without a check it is ready once its port accepts, and with `none` at once") {
  const SystemClock clock;
  HttpProber prober(clock);
  const SmallServer server([](int) { return std::string(); });
  const ClosedPort closed;
  CHECK(prober.Check(TestDna(), server.address(), {}).ok());
  const absl::Status status = prober.Check(TestDna(), closed.address(), {});
  CHECK(absl::IsUnavailable(status));
  CHECK(status.message() == "nothing accepts a connection at " + closed.address() +
                                " (Connection refused); ready_check: {none: {}} if it listens "
                                "nowhere");
  CompiledDna only_interval = TestDna();
  only_interval.dna.mutable_process()->mutable_ready_check()->mutable_interval()->set_seconds(1);
  CHECK(absl::IsUnavailable(prober.Check(only_interval, closed.address(), {})));
  CompiledDna none = TestDna();
  none.dna.mutable_process()->mutable_ready_check()->mutable_none();
  CHECK(prober.Check(none, closed.address(), {}).ok());
}

TEST_CASE("without warm-up everything is warm") {
  const SystemClock clock;
  HttpProber prober(clock);
  CHECK(prober.WarmUp(TestDna(), "127.0.0.1:1", {}).ok());
}

TEST_CASE("warm-up sends its requests one after the other on one connection") {
  const SystemClock clock;
  HttpProber prober(clock);
  const SmallServer server([](int) { return Response(200); });
  REQUIRE(prober.WarmUp(WarmUpDna(50), server.address(), {}).ok());
  CHECK(server.requests() == 50);
  CHECK(server.connections() == 1);
  CHECK(server.first_line() == "GET /warm HTTP/1.1");
}

TEST_CASE("after a failed request warm-up begins a new row on a new connection") {
  const SystemClock clock;
  HttpProber prober(clock);
  const SmallServer third_fails([](int n) { return Response(n == 2 ? 500 : 200); });
  CHECK(prober.WarmUp(WarmUpDna(5), third_fails.address(), {}).ok());
  CHECK(third_fails.requests() == 8);  // Two that passed, the one that failed, five in a row.
  CHECK(third_fails.connections() == 2);

  const SmallServer breaks_off([](int n) { return n == 0 ? kHangUp : Response(200); });
  CHECK(prober.WarmUp(WarmUpDna(2), breaks_off.address(), {}).ok());
  CHECK(breaks_off.connections() == 2);
}

TEST_CASE("a request that hangs leaves time for another, and does not count in the median") {
  const SystemClock clock;
  HttpProber prober(clock);
  CompiledDna dna = WarmUpDna(1);
  dna.warm_up_latency_max = absl::Milliseconds(900);
  dna.warm_up_timeout = absl::Seconds(3);
  const SmallServer hangs_once([](int n) { return n == 0 ? std::string() : Response(200); });
  CHECK(prober.WarmUp(dna, hangs_once.address(), {}).ok());
}

TEST_CASE("warm-up fails where no row passes in time: the last failure, and how many passed") {
  const SystemClock clock;
  HttpProber prober(clock);
  const SmallServer every_third_fails([](int n) { return Response(n % 3 == 2 ? 500 : 200); });
  CompiledDna dna = WarmUpDna(5);
  dna.warm_up_timeout = absl::Seconds(2);
  const absl::Status wrong = prober.WarmUp(dna, every_third_fails.address(), {});
  CHECK(absl::IsFailedPrecondition(wrong));
  const int passed = every_third_fails.requests() - every_third_fails.requests() / 3;
  CHECK(wrong.message() == "warm-up of " + every_third_fails.address() +
                               ": 5 in a row did not pass within 2s, " + std::to_string(passed) +
                               " passed in all; the last failure: status 500, wanted 200");

  CompiledDna impatient = WarmUpDna(3);
  impatient.warm_up_latency_max = absl::Nanoseconds(1);
  const SmallServer server([](int) { return Response(200); });
  CHECK(absl::IsFailedPrecondition(prober.WarmUp(impatient, server.address(), {})));

  CompiledDna brief = WarmUpDna(1);
  brief.warm_up_timeout = absl::Seconds(1);
  brief.dna.mutable_warm_up()->set_expected_status(404);
  CHECK(absl::IsFailedPrecondition(prober.WarmUp(brief, server.address(), {})));
  const SmallServer silent([](int) { return std::string(); });
  CHECK(absl::IsDeadlineExceeded(prober.WarmUp(brief, silent.address(), {})));
  const ClosedPort closed;
  CHECK(absl::IsUnavailable(prober.WarmUp(brief, closed.address(), {})));
}

CompiledDna HookDna() {
  CompiledDna dna = WarmUpDna(2);
  dna.dna.mutable_process()->mutable_resume_hook()->mutable_http()->set_path("/woken");
  dna.resume_hook_timeout = absl::Seconds(5);
  return dna;
}

TEST_CASE("the resume hook is asked before the warm-up, until it is answered well") {
  const SystemClock clock;
  HttpProber prober(clock);
  const SmallServer server([](int n) { return Response(n < 2 ? 503 : 204, ""); });
  CompiledDna dna = HookDna();
  dna.dna.mutable_warm_up()->set_expected_status(204);
  CHECK(prober.WarmUp(dna, server.address(), {}).ok());
  CHECK(server.lines() == std::vector<std::string>{"GET /woken HTTP/1.1", "GET /woken HTTP/1.1",
                                                   "GET /woken HTTP/1.1", "GET /warm HTTP/1.1",
                                                   "GET /warm HTTP/1.1"});

  const SmallServer without([](int) { return Response(200); });
  CompiledDna cold = HookDna();
  cold.dna.clear_warm_up();
  CHECK(prober.WarmUp(cold, without.address(), {}).ok());
  CHECK(without.requests() == 1);
}

TEST_CASE("a resume hook that is not answered well in time is an error, and nothing is warmed up") {
  const SystemClock clock;
  HttpProber prober(clock);
  const SmallServer server([](int) { return Response(500); });
  CompiledDna dna = HookDna();
  dna.resume_hook_timeout = absl::Milliseconds(200);
  const absl::Status status = prober.WarmUp(dna, server.address(), {});
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(status.message() ==
        "resume hook of " + server.address() +
            ": 1 in a row did not pass within 200ms, 0 passed in all; the last failure: status "
            "500, wanted 200 to 399");
  CHECK(server.first_line() == "GET /woken HTTP/1.1");
}

TEST_CASE("a probe that waits for an answer ends when it is stopped") {
  const SystemClock clock;
  HttpProber prober(clock);
  const SmallServer silent([](int) { return std::string(); });
  CompiledDna patient = HttpDna();
  patient.dna.mutable_warm_up()->set_requests(3);
  patient.ready_timeout = patient.warm_up_timeout = absl::Minutes(10);
  const absl::Duration before = clock.Now().mono;
  for (const bool warm_up : {true, false}) {
    std::stop_source stop;
    const int requests = silent.requests();
    std::jthread stopper([&] {
      PollUntil(absl::Seconds(20), [&] { return silent.requests() > requests; });
      stop.request_stop();
    });
    const absl::Status status = warm_up ? prober.WarmUp(patient, silent.address(), stop.get_token())
                                        : prober.Check(patient, silent.address(), stop.get_token());
    CHECK(absl::IsCancelled(status));
  }
  CHECK(clock.Now().mono - before < absl::Seconds(6));
}

TEST_CASE("an answer without end is cut off") {
  const SystemClock clock;
  HttpProber prober(clock);
  const SmallServer server([](int) { return Response(200, std::string(20 << 20, 'x')); });
  CompiledDna dna = WarmUpDna(1);
  dna.warm_up_timeout = absl::Seconds(3);  // One answer may take longer than half a second.
  CHECK(absl::IsFailedPrecondition(prober.WarmUp(dna, server.address(), {})));
}

TEST_CASE("the fake prober answers like the real one") {
  FakeProber prober;
  CHECK(prober.Check(HttpDna(), "a", {}).ok());
  prober.Set("a", {.checks_until_ready = 2, .check = {}, .warm_up = {}});
  CHECK(prober.Checks("a") == 1);
  prober.Set("b", {.checks_until_ready = 1, .check = {}, .warm_up = {}});
  CHECK(absl::IsUnavailable(prober.Check(HttpDna(), "b", {})));
  CHECK(prober.Check(HttpDna(), "b", {}).ok());
  CHECK(prober.WarmUp(WarmUpDna(7), "b", {}).ok());
  CompiledDna strict = WarmUpDna(1);
  strict.warm_up_latency_max = absl::Microseconds(10);
  CHECK(absl::IsFailedPrecondition(prober.WarmUp(strict, "b", {})));
  CHECK(prober.WarmUps("b") == 2);
}

}  // namespace
}  // namespace shadow
