// PrometheusUsage over TLS: whom it trusts, and who gets its secrets.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/usage/prometheus_usage.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/usage/scripted_http.h"
#include "tests/server/usage/tls_http.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

// A pool's source with its files, and who signs the server's certificate.
class PrometheusTlsBench {
 public:
  PrometheusTlsBench() {
    authority.WriteCertificate(directory.File("ca.pem"));
    WriteFile("token", "first-secret\n");
    spec.set_query("demand");
    spec.set_ca_file(directory.File("ca.pem"));
    spec.set_bearer_token_file(directory.File("token"));
  }

  void WriteFile(const std::string& name, const std::string& text) const {
    std::ofstream(directory.File(name)) << text;
  }
  std::string Seven() const {
    return absl::StrCat(R"({"status":"success","data":{"resultType":"scalar","result":[)",
                        absl::ToUnixSeconds(clock.Now().wall), R"(,"7"]}})");
  }
  TlsHttp::Answer WithSeven() const {
    return [this](const std::string&) { return RawReply(200, Seven()); };
  }
  absl::StatusOr<UsageReading> ReadFrom(const std::string& url) {
    spec.set_url(url);
    return PrometheusUsage(spec, absl::Minutes(1), clock)
        .Read("pools/web", clock.Now().wall - absl::Seconds(1));
  }

  ManualClock clock;
  const TempDirectory directory;
  const TestCertificate authority{{.common_name = "authority", .authority = true}};
  const TestCertificate server{{.common_name = "prometheus", .alternative_names = "IP:127.0.0.1"},
                               authority};
  v1::PrometheusUsage spec;
};

TEST_CASE("a server whose certificate the ca_file has signed is asked with the token") {
  PrometheusTlsBench bench;
  const TlsHttp https(bench.server, bench.WithSeven());
  for (const char* token : {"first-secret", "second-secret"}) {
    bench.WriteFile("token", token);
    const auto reading = bench.ReadFrom(https.url());
    INFO(reading.status());
    REQUIRE(reading.ok());
    CHECK(reading->samples.at(0).value() == 7);
    CHECK_THAT(https.requests().back(),
               Catch::Contains(absl::StrCat("Authorization: Bearer ", token, "\r\n")));
  }
}

TEST_CASE("a server that cannot be trusted gets no request and no token") {
  PrometheusTlsBench bench;
  const TestCertificate stranger({.common_name = "stranger", .authority = true});
  const std::string here = "IP:127.0.0.1";
  const struct {
    const char* what;
    TestCertificate certificate;
  } cases[] = {
      {"another authority", {{.common_name = "p", .alternative_names = here}, stranger}},
      {"signed by itself", TestCertificate({.common_name = "p", .alternative_names = here})},
      {"expired",
       {{.common_name = "p",
         .alternative_names = here,
         .begins_seconds_from_now = -7200,
         .ends_seconds_from_now = -3600},
        bench.authority}},
      {"not yet valid",
       {{.common_name = "p",
         .alternative_names = here,
         .begins_seconds_from_now = 3600,
         .ends_seconds_from_now = 7200},
        bench.authority}},
      {"another host",
       {{.common_name = "p", .alternative_names = "IP:127.0.0.2"}, bench.authority}},
  };
  for (const auto& c : cases) {
    INFO(c.what);
    const TlsHttp https(c.certificate, bench.WithSeven());
    const absl::Status status = bench.ReadFrom(https.url()).status();
    INFO(status);
    CHECK(absl::IsUnavailable(status));
    CHECK_THAT(std::string(status.message()), !Catch::Contains("secret"));
    CHECK(https.requests().empty());
  }
}

TEST_CASE("a ca_file that is lost, no certificate or a pipe is an error at once") {
  PrometheusTlsBench bench;
  const TlsHttp https(bench.server, bench.WithSeven());
  const std::string path = bench.directory.File("other.pem");
  bench.spec.set_ca_file(path);
  const absl::Status lost = bench.ReadFrom(https.url()).status();
  CHECK(absl::IsUnavailable(lost));
  CHECK_THAT(std::string(lost.message()), Catch::Contains(path));
  bench.WriteFile("other.pem", "no certificate");
  CHECK(absl::IsUnavailable(bench.ReadFrom(https.url()).status()));
  bench.spec.set_ca_file(bench.directory.File("pipe"));
  REQUIRE(mkfifo(bench.spec.ca_file().c_str(), 0600) == 0);
  CHECK(absl::IsUnavailable(bench.ReadFrom(https.url()).status()));
  CHECK(https.requests().empty());
  bench.authority.WriteCertificate(path);
  bench.spec.set_ca_file(path);
  CHECK(bench.ReadFrom(https.url()).ok());
}

TEST_CASE("a redirect takes the token to no other port, and https to nothing less") {
  PrometheusTlsBench bench;
  const TlsHttp other(bench.server, bench.WithSeven());
  const TlsHttp first(bench.server, [&](const std::string&) {
    return RawReply(307, "", absl::StrCat("Location: ", other.url(), "/x\r\n"));
  });
  REQUIRE(bench.ReadFrom(first.url()).ok());
  CHECK_THAT(first.requests().at(0), Catch::Contains("first-secret"));
  CHECK_THAT(other.requests().at(0), !Catch::Contains("uthorization"));
  ScriptedHttp plain(bench.WithSeven());
  const TlsHttp second(bench.server, [&](const std::string&) {
    return RawReply(307, "", absl::StrCat("Location: ", plain.url(), "/x\r\n"));
  });
  CHECK(absl::IsUnavailable(bench.ReadFrom(second.url()).status()));
  CHECK(plain.requests().empty());
}

TEST_CASE("a token that the server repeats is in no error, also when it was just rotated") {
  PrometheusTlsBench bench;
  const std::string success = R"({"status":"success",)";
  for (const auto& [status, body] :
       {std::pair(400, std::string(R"({"status":"error","error":"bad first-secret"})")),
        std::pair(200, success + R"("warnings":["bad first-secret"],"data":{}})"),
        std::pair(200, success + R"("data":{"resultType":"first-secret","result":[]}})")}) {
    bench.WriteFile("token", "first-secret");
    const TlsHttp https(bench.server, [&, status = status, body = body](const std::string&) {
      bench.WriteFile("token", "second-secret");
      return RawReply(status, body);
    });
    const absl::Status said = bench.ReadFrom(https.url()).status();
    INFO(body);
    CHECK_FALSE(said.ok());
    CHECK_THAT(std::string(said.message()),
               Catch::Contains("(not shown)") && !Catch::Contains("secret"));
  }
}

TEST_CASE("a server of HTTP/2 is understood") {
  PrometheusTlsBench bench;
  const TlsHttp https(bench.server, [&](const std::string&) { return bench.Seven(); },
                      {.http2 = true});
  const auto reading = bench.ReadFrom(https.url());
  INFO(reading.status());
  REQUIRE(reading.ok());
  CHECK(reading->samples.at(0).value() == 7);
  CHECK_THAT(https.requests().at(0), Catch::StartsWith("PRI * HTTP/2.0"));
}

TEST_CASE("a body without an end is given up at its limit, and gzip is not unpacked") {
  PrometheusTlsBench bench;
  const std::string chunked = "HTTP/1.1 200 OK\r\n\r\n" + std::string(1 << 16, ' ');
  {
    const TlsHttp https(bench.server, [&](const std::string&) { return chunked; },
                        {.endless = true});
    const absl::Status status = bench.ReadFrom(https.url()).status();
    INFO(status);
    CHECK(absl::IsUnavailable(status));
  }
  const TlsHttp https(bench.server, [&](const std::string&) {
    return RawReply(200, "\x1f\x8b\x08", "Content-Encoding: gzip\r\n");
  });
  CHECK(absl::IsUnavailable(bench.ReadFrom(https.url()).status()));
  CHECK_THAT(https.requests().at(0), !Catch::Contains("Accept-Encoding"));
}

}  // namespace
}  // namespace shadow
