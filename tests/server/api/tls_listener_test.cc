// The TCP port below gRPC: who is let in, what silent and old clients cost, what a reload changes.
#include "server/api/tcp/tls_listener.h"

#include <poll.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/api/tcp/tcp_address.h"
#include "tests/fakes/captured_log.h"
#include "tests/fakes/http2_client.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/poll.h"
#include "tests/fakes/tls/tls_client.h"
#include "tests/fakes/tls/tls_files.h"

namespace shadow {
namespace {

// A port whose connections are echoed.
class EchoingPort {
 public:
  explicit EchoingPort(Clock& clock) {
    signal(SIGPIPE, SIG_IGN);
    auto context = TlsContext::Load(files.files());
    REQUIRE(context.status() == absl::OkStatus());
    auto opened = TlsListener::Open(
        "127.0.0.1:0", *std::move(context),
        [this](int fd, const Caller& caller) { Serve(TestSocket(fd), caller); }, clock);
    REQUIRE(opened.status() == absl::OkStatus());
    listener = *std::move(opened);
  }
  ~EchoingPort() {
    listener.reset();  // Ends the echoes.
    for (std::thread& echo : echoes_) echo.join();
  }

  int port() const { return listener->port(); }
  bool TakesIn(const TlsClient::Options& options) {
    TlsClient client(port(), options);
    return client.Echoes("hello");
  }
  std::vector<Caller> callers() {
    const std::lock_guard lock(mutex_);
    return callers_;
  }
  // Has the listener look at what is overdue.
  void Wake() { const TestSocket woken(ConnectToLoopback(port(), 1)); }

  const TestTlsFiles files;
  std::unique_ptr<TlsListener> listener;

 private:
  void Serve(TestSocket socket, const Caller& caller) {
    const std::lock_guard lock(mutex_);
    callers_.push_back(caller);
    echoes_.emplace_back([socket = std::move(socket)] {
      pollfd readable{.fd = socket.fd(), .events = POLLIN, .revents = 0};
      std::string bytes;
      while (poll(&readable, 1, -1) >= 0 && ReceiveMore(socket, bytes)) {
        pollfd writable{.fd = socket.fd(), .events = POLLOUT, .revents = 0};
        for (std::string_view rest = bytes; !rest.empty(); poll(&writable, 1, -1)) {
          const ssize_t sent = send(socket.fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
          if (sent < 0 && errno != EAGAIN) return;
          rest.remove_prefix(sent < 0 ? 0 : static_cast<size_t>(sent));
        }
        bytes.clear();
      }
    });
  }

  std::mutex mutex_;
  std::vector<Caller> callers_;
  std::vector<std::thread> echoes_;  // Under it, while the listener lives.
};

TestCertificateSpec Ops() {
  return {.common_name = "ops", .alternative_names = "DNS:a.example,URI:spiffe://x/y,email:o@x"};
}

}  // namespace

TEST_CASE("a client with a good certificate is let in, by its names, and bytes pass both ways") {
  SystemClock clock;
  EchoingPort echo(clock);
  const TestCertificate ops = echo.files.Client(Ops());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CHECK(echo.TakesIn({.certificate = &ops, .version_max = version}));
  }
  CHECK(echo.callers().back() ==
        Caller{.certificates = {"CN=ops", "DNS:a.example", "URI:spiffe://x/y", "email:o@x"}});
  // More than any buffer holds.
  TlsClient client(echo.port(), {.certificate = &ops});
  REQUIRE(client.Handshake());
  const std::string sent(50'000, 'x');
  size_t received = 0;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(client.Send(sent));
    for (size_t got = 0; got < sent.size();) {
      const std::string part = client.Receive();
      REQUIRE_FALSE(part.empty());
      got += part.size();
      received += part.size();
    }
  }
  CHECK(received == 20 * sent.size());
}

TEST_CASE("clients that prove no good certificate are refused, and the log says why") {
  const CapturedLog log;
  SystemClock clock;
  const TestTlsFiles others;
  const TestCertificate self_made({.common_name = "ops"});
  const TestCertificate foreign = others.Client({.common_name = "ops"});
  const struct {
    const char* what;
    std::function<std::optional<TestCertificate>(const TestTlsFiles&)> make;
    int version_max;
    const char* protocol;
    const char* said;
  } rows[] = {
      {"none", [](const TestTlsFiles&) { return std::nullopt; }, TLS1_3_VERSION, "h2",
       "peer did not return a certificate"},
      {"expired",
       [](const TestTlsFiles& files) {
         return files.Client(
             {.common_name = "ops", .begins_seconds_from_now = -20, .ends_seconds_from_now = -10});
       },
       TLS1_3_VERSION, "h2", "certificate has expired"},
      {"not yet valid",
       [](const TestTlsFiles& files) {
         return files.Client({.common_name = "ops", .begins_seconds_from_now = 600});
       },
       TLS1_3_VERSION, "h2", "certificate is not yet valid"},
      {"an old version of TLS",
       [](const TestTlsFiles& files) { return files.Client({.common_name = "ops"}); },
       TLS1_1_VERSION, "h2", "unsupported protocol"},
      {"another protocol",
       [](const TestTlsFiles& files) { return files.Client({.common_name = "ops"}); },
       TLS1_3_VERSION, "http/1.1", "no application protocol"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    {
      EchoingPort echo(clock);
      const std::optional<TestCertificate> certificate = row.make(echo.files);
      CHECK_FALSE(echo.TakesIn({.certificate = certificate.has_value() ? &*certificate : nullptr,
                                .version_max = row.version_max,
                                .protocol = row.protocol}));
      CHECK(echo.callers().empty());
    }
    REQUIRE_FALSE(log.Lines().empty());
    CHECK(log.Lines().back() ==
          std::string("a TLS connection from 127.0.0.1 is closed: ") + row.said);
  }
  for (const TestCertificate* certificate : {&self_made, &foreign}) {
    EchoingPort echo(clock);
    CHECK_FALSE(echo.TakesIn({.certificate = certificate}));
    CHECK(echo.callers().empty());
  }
}

TEST_CASE("plain text on the TLS port is refused at once, and others go on") {
  SystemClock clock;
  EchoingPort echo(clock);
  const TestSocket plain = ConnectToLoopback(echo.port(), 5);
  REQUIRE(SendAll(plain, http2::Preface()));
  CHECK(PollUntil(kPatience, [&] { return http2::Closed(plain); }));
  const TestCertificate ops = echo.files.Client(Ops());
  CHECK(echo.TakesIn({.certificate = &ops}));
}

TEST_CASE("a client that begins a handshake and does not go on is closed after five seconds") {
  ManualClock clock;
  EchoingPort echo(clock);
  const TestSocket silent = ConnectToLoopback(echo.port(), 5);
  const TestSocket slow = ConnectToLoopback(echo.port(), 5);
  REQUIRE(SendAll(slow, std::string("\x16\x03\x01\x02", 4)));  // The begin of a ClientHello.
  const TestCertificate ops = echo.files.Client(Ops());
  CHECK(echo.TakesIn({.certificate = &ops}));
  CHECK_FALSE(http2::Closed(silent));
  CHECK_FALSE(http2::Closed(slow));
  clock.Advance(TlsListener::kHandshakeTimeout);
  echo.Wake();
  CHECK(PollUntil(kPatience, [&] { return http2::Closed(silent); }));
  CHECK(PollUntil(kPatience, [&] { return http2::Closed(slow); }));
}

TEST_CASE("a host with many silent handshakes gets no more, and keeps nobody else out") {
  SystemClock clock;
  EchoingPort echo(clock);
  std::vector<TestSocket> silent;
  for (int i = 0; i < TlsListener::kHandshakesMaxOfHost; ++i) {
    silent.push_back(ConnectToLoopback(echo.port(), 5));
  }
  const TestSocket further = ConnectToLoopback(echo.port(), 5);
  CHECK(PollUntil(kPatience, [&] { return http2::Closed(further); }));
  // Another host, of the same loopback network.
  TestSocket other(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in from = LoopbackAddress(0);
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
  REQUIRE(bind(other.fd(), reinterpret_cast<const sockaddr*>(&from), sizeof(from)) == 0);
  const sockaddr_in to = LoopbackAddress(echo.port());
  REQUIRE(connect(other.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0);
  const TestCertificate ops = echo.files.Client(Ops());
  TlsClient client(std::move(other), {.certificate = &ops});
  CHECK(client.Echoes("hello"));
}

TEST_CASE("a reload closes the connections of those whom the new files do not take") {
  SystemClock clock;
  EchoingPort echo(clock);
  const TestTlsFiles& files = echo.files;
  const TestCertificate ops = files.Client(Ops());
  const TestCertificate lost = files.Client({.common_name = "lost"});
  TlsClient stays(echo.port(), {.certificate = &ops});
  TlsClient revoked(echo.port(), {.certificate = &lost});
  REQUIRE(stays.Echoes("a"));
  REQUIRE(revoked.Echoes("b"));
  files.clients().AppendRevocation(files.files().client_ca, lost);
  auto context = TlsContext::Load(files.files());
  REQUIRE(context.status() == absl::OkStatus());
  echo.listener->Reload(*context, [](const Caller&) { return true; });
  CHECK(PollUntil(kPatience, [&] { return http2::Closed(revoked.socket()); }));
  CHECK(stays.Send("c"));
  CHECK(stays.Receive() == "c");
  CHECK_FALSE(echo.TakesIn({.certificate = &lost}));
  CHECK(echo.TakesIn({.certificate = &ops}));
  echo.listener->Reload(nullptr, [](const Caller&) { return false; });
  CHECK(PollUntil(kPatience, [&] { return http2::Closed(stays.socket()); }));
}

TEST_CASE("a connection ends when its certificate expires") {
  ManualClock clock;
  EchoingPort echo(clock);
  const TestCertificate ops = echo.files.Client(Ops());
  clock.SetWall(SystemClock().Now().wall);
  TlsClient client(echo.port(), {.certificate = &ops});
  REQUIRE(client.Echoes("hello"));
  clock.Advance(absl::Hours(1));
  echo.Wake();
  CHECK(PollUntil(kPatience, [&] { return http2::Closed(client.socket()); }));
}

TEST_CASE("files that TLS cannot use are refused by their field and name") {
  const TestTlsFiles files;
  files.Write("client", files.Client(Ops()));
  std::ofstream(files.Path("empty")) << "";
  const TestCertificate loose({.common_name = "loose"});
  loose.WriteKey(files.Path("loose.key"), 0644);
  const struct {
    std::string TlsFiles::*file;
    std::string name;
    std::string said;
  } rows[] = {{&TlsFiles::certificate, "none", "tls.certificate_file: "},
              {&TlsFiles::certificate, "server.key", "tls.certificate_file: "},
              {&TlsFiles::key, "none", "tls.key_file: "},
              {&TlsFiles::key, "client.key", "tls.key_file: "},
              {&TlsFiles::key, "loose.key", "tls.key_file: "},
              {&TlsFiles::client_ca, "none", "tls.client_ca_file: "},
              {&TlsFiles::client_ca, "empty", "tls.client_ca_file: "},
              {&TlsFiles::client_ca, "server.key", "tls.client_ca_file: "}};
  for (const auto& row : rows) {
    TlsFiles bad = files.files();
    bad.*row.file = files.Path(row.name);
    const absl::Status status = TlsContext::Load(bad).status();
    INFO(status);
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(std::string(status.message()).starts_with(row.said + files.Path(row.name) + ": "));
  }
  CHECK(TlsContext::Load(files.files()).status() == absl::OkStatus());
}

TEST_CASE("the names of a certificate are those of its subject and their kinds") {
  CHECK(CertificateNames(TestCertificate({.common_name = "a b"}).x509()) ==
        std::vector<std::string>{"CN=a b"});
  CHECK(CertificateNames(TestCertificate({.common_name = ""}).x509()).empty());
  CHECK(CertificateNames(TestCertificate({.common_name = "evil\nname"}).x509()).empty());
  CHECK(CertificateNames(
            TestCertificate({.common_name = "", .alternative_names = "IP:1.2.3.4"}).x509())
            .empty());
}

TEST_CASE("an address of TCP is a number and a port") {
  for (const char* good : {"127.0.0.1:0", "0.0.0.0:7443", "[::]:7443", "[::1]:65535"}) {
    CHECK(ParseTcpAddress(good).ok());
  }
  for (const char* bad : {"", "7443", ":7443", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                          "localhost:1", "::1:7443", "[::1]", "[127.0.0.1]:1", "1.2.3:1"}) {
    INFO(bad);
    CHECK(absl::IsInvalidArgument(ParseTcpAddress(bad).status()));
  }
  SystemClock clock;
  EchoingPort first(clock);
  const auto second = TlsListener::Open(
      "127.0.0.1:" + std::to_string(first.port()), *TlsContext::Load(first.files.files()),
      [](int, const Caller&) {}, clock);
  CHECK(absl::IsAlreadyExists(second.status()));
}

}  // namespace shadow
