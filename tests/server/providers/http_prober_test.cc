#include "server/providers/http_prober.h"

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/core/clock.h"
#include "tests/fakes/loopback_socket.h"
#include "tests/fakes/test_dna.h"
#include "tests/server/providers/no_descriptors.h"
#include "tests/server/providers/small_server.h"

namespace shadow {
namespace {

TEST_CASE("a TCP check asks IPv4 and IPv6 addresses, and nothing else") {
  const SystemClock clock;
  HttpProber prober(clock);
  const TestSocket six(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 own{};
  own.sin6_family = AF_INET6;
  own.sin6_addr = in6addr_loopback;
  socklen_t bytes = sizeof(own);
  if (bind(six.fd(), reinterpret_cast<const sockaddr*>(&own), bytes) == 0) {  // The host has it.
    REQUIRE(listen(six.fd(), 1) == 0);
    REQUIRE(getsockname(six.fd(), reinterpret_cast<sockaddr*>(&own), &bytes) == 0);
    const std::string port = std::to_string(ntohs(own.sin6_port));
    CHECK(prober.Check(TestDna(), "[::1]:" + port, {}).ok());
  }
  const TestSocket four = ListenOnLoopback(0);
  CHECK(prober.Check(TestDna(), "127.0.0.1:" + std::to_string(LocalPort(four)), {}).ok());
  for (const char* address : {"", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "host:80",
                              "::1:80", "[::1]", "[127.0.0.1]:80", "127.0.0.1:8x"}) {
    INFO(address);
    CHECK(absl::IsInvalidArgument(prober.Check(TestDna(), address, {})));
  }
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

// Of each probe, made while there are none.
std::map<std::string, absl::Status> ProbesWithoutDescriptors(HttpProber& prober,
                                                             const std::string& address) {
  CompiledDna warm_up = WarmUpDna(1);
  warm_up.warm_up_timeout = absl::Milliseconds(200);
  const NoDescriptors none;
  return {{"http", prober.Check(HttpDna(), address, {})},
          {"tcp", prober.Check(TestDna(), address, {})},
          {"warm-up", prober.WarmUp(warm_up, address, {})}};
}

TEST_CASE("without descriptors no probe says anything of the instance") {
  const SystemClock clock;
  HttpProber prober(clock);
  const SmallServer server([](int) { return Response(200); });
  REQUIRE(prober.Check(HttpDna(), server.address(), {}).ok());
  for (const auto& [probe, status] : ProbesWithoutDescriptors(prober, server.address())) {
    INFO(probe << ": " << status);
    CHECK(absl::IsResourceExhausted(status));
    CHECK_THAT(std::string(status.message()), Catch::Contains("no socket (Too many open files)"));
  }
  CHECK(server.requests() == 1);
  CHECK(prober.Check(HttpDna(), server.address(), {}).ok());
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

TEST_CASE("an answer without end is cut off") {
  const SystemClock clock;
  HttpProber prober(clock);
  const SmallServer server([](int) { return Response(200, std::string(20 << 20, 'x')); });
  CompiledDna dna = WarmUpDna(1);
  dna.warm_up_timeout = absl::Seconds(3);  // One answer may take longer than half a second.
  CHECK(absl::IsFailedPrecondition(prober.WarmUp(dna, server.address(), {})));
}

}  // namespace
}  // namespace shadow
