// PrometheusUsage against a server that answers well, badly, slowly and not at all.
#include "server/usage/prometheus_usage.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/time_proto.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/usage/scripted_http.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

std::string OneSeries(absl::Time time, const std::string& value, const char* job = "web") {
  return absl::StrCat(R"({"metric":{"job":")", job, R"("},"value":[)", absl::ToUnixSeconds(time),
                      R"(,")", value, R"("]})");
}

std::string VectorReply(const std::vector<std::string>& series) {
  return RawReply(200, absl::StrCat(R"({"status":"success","data":{"resultType":"vector",)"
                                    R"("result":[)",
                                    absl::StrJoin(series, ","), "]}}"));
}

// Nothing is missing before its clock, unless a test asks from earlier.
class PrometheusBench {
 public:
  PrometheusBench() { spec.set_query("sum(rate(http_requests_total[1m]))"); }

  absl::Time now() const { return clock.Now().wall; }
  absl::StatusOr<UsageReading> Read() { return ReadSince(now() - absl::Seconds(1)); }
  absl::StatusOr<UsageReading> ReadSince(absl::Time since) {
    spec.set_url(http.url());
    if (!source) source.emplace(spec, absl::Minutes(1), clock);
    return source->Read("pools/web", since);
  }
  void Answer(const std::string& reply) {
    http.SetAnswer([reply](const std::string&) { return reply; });
  }
  void Expose(const std::string& text) { Answer(RawReply(200, text)); }

  ManualClock clock;
  ScriptedHttp http{[](const std::string&) { return VectorReply({}); }};
  v1::PrometheusUsage spec;
  std::optional<PrometheusUsage> source;
};

TEST_CASE("the result of a query is a sample of now") {
  PrometheusBench bench;
  bench.Answer(VectorReply({OneSeries(bench.now(), "12.5")}));
  const auto reading = bench.Read();
  INFO(reading.status());
  REQUIRE(reading.ok());
  REQUIRE(reading->samples.size() == 1);
  CHECK(reading->samples[0].value() == 12.5);
  CHECK(FromProto(reading->samples[0].time()) == bench.now());
  CHECK_THAT(bench.http.requests().at(0),
             Catch::StartsWith("GET /api/v1/query?query=sum%28rate%28http_requests_total%5B1m%5D"
                               "%29%29 HTTP/1.1\r\n"));
  CHECK(bench.source->peer() == bench.http.url());
}

TEST_CASE("a query whose result is not known has no sample") {
  PrometheusBench bench;
  for (const std::vector<std::string>& series : {std::vector<std::string>{},
                                                 {OneSeries(bench.now(), "NaN")},
                                                 {OneSeries(bench.now(), "+Inf")},
                                                 {OneSeries(bench.now(), "-Inf")}}) {
    bench.Answer(VectorReply(series));
    const auto reading = bench.Read();
    INFO(reading.status());
    REQUIRE(reading.ok());
    CHECK(reading->samples.empty());
  }
  bench.Answer(VectorReply({OneSeries(bench.now(), "0")}));
  CHECK(bench.Read()->samples.at(0).value() == 0);  // Known, and none.
}

TEST_CASE("a value below zero, or of another time, is an error that says so") {
  PrometheusBench bench;
  const struct {
    std::string series;
    const char* words;
  } cases[] = {
      {OneSeries(bench.now(), "-3"), "-3 is below zero"},
      {OneSeries(bench.now() - absl::Minutes(5), "3"), "5m before this host's clock"},
      {OneSeries(bench.now() + absl::Seconds(11), "3"), "11s after this host's clock"},
  };
  for (const auto& c : cases) {
    bench.Answer(VectorReply({c.series}));
    const auto reading = bench.Read();
    CHECK(reading.status().code() == absl::StatusCode::kFailedPrecondition);
    CHECK_THAT(std::string(reading.status().message()), Catch::Contains(c.words));
  }
}

TEST_CASE("several series are added up where that is asked for, and told otherwise") {
  PrometheusBench bench;
  bench.Answer(VectorReply({OneSeries(bench.now(), "1"), OneSeries(bench.now(), "2", "api")}));
  const auto reading = bench.Read();
  CHECK(reading.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(reading.status().message()), Catch::Contains("2 series came; wanted one"));
  bench.spec.set_sum(true);
  bench.source.reset();
  CHECK(bench.Read()->samples.at(0).value() == 3);
  bench.Answer(VectorReply({OneSeries(bench.now(), "1"), OneSeries(bench.now(), "NaN", "api")}));
  CHECK(bench.Read()->samples.empty());
}

TEST_CASE("each bad answer is an error of its own code, in time and without its words") {
  PrometheusBench bench;
  const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"status\":";
  const std::string endless(5 << 20, ' ');
  const struct {
    std::string reply;
    absl::StatusCode code;
  } cases[] = {
      {RawReply(503, "Service Unavailable"), absl::StatusCode::kUnavailable},
      {RawReply(500, "x"), absl::StatusCode::kUnavailable},
      {RawReply(401, "x"), absl::StatusCode::kUnauthenticated},
      {RawReply(403, "x"), absl::StatusCode::kPermissionDenied},
      {RawReply(429, "x"), absl::StatusCode::kResourceExhausted},
      {RawReply(400, R"({"status":"error","error":"parse error"})"),
       absl::StatusCode::kFailedPrecondition},
      {RawReply(200, "<html>"), absl::StatusCode::kUnavailable},
      {RawReply(200, endless), absl::StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\n\r\n" + endless, absl::StatusCode::kUnavailable},
      {half, absl::StatusCode::kUnavailable},
      {"", absl::StatusCode::kUnavailable},
      {"SSH-2.0-OpenSSH_9.2\r\n", absl::StatusCode::kUnavailable},
      {RawReply(302, "", "Location: /again\r\n"), absl::StatusCode::kUnavailable},  // For ever.
      {RawReply(302, "", "Location: file:///etc/passwd\r\n"), absl::StatusCode::kUnavailable},
  };
  for (const auto& c : cases) {
    INFO(c.reply.substr(0, 80));
    bench.Answer(c.reply);
    const auto reading = bench.Read();
    INFO(reading.status());
    CHECK(reading.status().code() == c.code);
    CHECK_THAT(std::string(reading.status().message()),
               Catch::StartsWith("prometheus http://127.0.0.1:"));
  }
  CHECK(bench.http.requests().size() <= std::size(cases) + 3);  // Three redirects at most.
  bench.Answer(RawReply(400, R"({"status":"error","error":"parse error"})"));
  CHECK_THAT(std::string(bench.Read().status().message()), Catch::Contains("parse error"));
}

TEST_CASE("a server that is slow or silent is given up in time, and asked again") {
  PrometheusBench bench;
  bench.Answer(VectorReply({OneSeries(bench.now(), "7")}));
  bench.http.SetDripping(true);
  CHECK(absl::IsDeadlineExceeded(bench.Read().status()));
  bench.http.SetDripping(false);
  bench.http.SetFrozen(true);
  CHECK(absl::IsDeadlineExceeded(bench.Read().status()));
  bench.http.SetFrozen(false);
  CHECK(bench.Read()->samples.size() == 1);
  bench.http.Stop();
  CHECK(absl::IsUnavailable(bench.Read().status()));
}

// Answers both kinds of query: now 7, and `values` of the range.
ScriptedHttp::Answer WithPast(absl::Time now, const std::string& values) {
  return [now, values](const std::string& request) {
    if (!request.starts_with("GET /api/v1/query_range?")) {
      return VectorReply({OneSeries(now, "7")});
    }
    return RawReply(200, R"({"status":"success","data":{"resultType":"matrix","result":[)"
                         R"({"metric":{},"values":[)" +
                             values + "]}]}}");
  };
}

TEST_CASE("what was missed is asked for once, at the steps, before the value of now") {
  PrometheusBench bench;
  bench.spec.mutable_backfill()->set_seconds(3600);
  const int64_t now = absl::ToUnixSeconds(bench.now());
  bench.http.SetAnswer(
      WithPast(bench.now(), absl::StrCat("[", now - 240, ",\"4\"],[", now - 180, ",\"NaN\"],[",
                                         now - 120, ",\"5\"],[", now - 60, ",\"6\"]")));
  const auto reading = bench.ReadSince(bench.now() - absl::Seconds(250));
  INFO(reading.status());
  REQUIRE(reading.ok());
  std::vector<double> values;
  for (const v1::Sample& sample : reading->samples) values.push_back(sample.value());
  CHECK(values == std::vector<double>{4, 5, 6, 7});
  CHECK_THAT(
      bench.http.requests().at(1),
      Catch::Contains(absl::StrCat("&start=", now - 240, ".000&end=", now - 60, ".000&step=60 ")));
  REQUIRE(bench.ReadSince(bench.now() - absl::Seconds(250)).ok());
  CHECK(bench.http.requests().size() == 3);  // Now alone.
}

TEST_CASE("a new pool asks for its past in parts, as far as its backfill goes") {
  PrometheusBench bench;
  bench.spec.mutable_backfill()->set_seconds(1500 * 60);
  const int64_t now = absl::ToUnixSeconds(bench.now());
  bench.http.SetAnswer(WithPast(bench.now(), absl::StrCat("[", now - 1499 * 60, ",\"4\"]")));
  const auto first = bench.ReadSince(absl::InfinitePast());
  REQUIRE(first.ok());
  REQUIRE(first->samples.size() == 1);  // The value of now would hide what is still to come.
  CHECK(first->samples[0].value() == 4);
  const auto second = bench.ReadSince(FromProto(first->samples[0].time()));
  REQUIRE(second.ok());
  CHECK(second->samples.size() == 1);
  CHECK(second->samples[0].value() == 7);
  CHECK_THAT(bench.http.requests().at(3), Catch::Contains(absl::StrCat("&start=", now - 499 * 60)));
}

TEST_CASE("a past that is refused three times holds up the present no longer") {
  PrometheusBench bench;
  bench.spec.mutable_backfill()->set_seconds(3600);
  bench.http.SetAnswer([&](const std::string& request) {
    return request.starts_with("GET /api/v1/query_range?")
               ? RawReply(503, "too much")
               : VectorReply({OneSeries(bench.now(), "7")});
  });
  CHECK(absl::IsUnavailable(bench.ReadSince(absl::InfinitePast()).status()));
  CHECK(absl::IsUnavailable(bench.ReadSince(absl::InfinitePast()).status()));
  const auto third = bench.ReadSince(absl::InfinitePast());
  REQUIRE(third.ok());
  CHECK(third->samples.size() == 1);
}

// Of a target's counter.
class ScrapeBench : public PrometheusBench {
 public:
  ScrapeBench() { spec.mutable_scrape()->set_metric("requests_total"); }
  absl::StatusOr<UsageReading> ReadAfter(absl::Duration pause, const std::string& text) {
    clock.Advance(pause);
    Expose(text);
    return Read();
  }
};

TEST_CASE("a counter of a target becomes a rate, and is unknown where it was set back") {
  ScrapeBench bench;
  const std::string type = "# TYPE requests_total counter\n";
  CHECK(bench.ReadAfter({}, type + "requests_total 1200\n")->samples.empty());
  const auto rate = bench.ReadAfter(absl::Seconds(2.5), type + "requests_total 1500\n");
  INFO(rate.status());
  REQUIRE(rate.ok());
  CHECK(rate->samples.at(0).value() == 120);
  CHECK(bench.ReadAfter(absl::Seconds(2), type + "requests_total 40\n")->samples.empty());
  CHECK(bench.ReadAfter(absl::Seconds(2), type + "requests_total 60\n")->samples.at(0).value() ==
        10);
  CHECK(bench.ReadAfter(absl::Seconds(2), type)->samples.empty());
  CHECK(bench.ReadAfter(absl::Seconds(2), type + "requests_total 90\n")->samples.empty());
  CHECK(bench.ReadAfter(absl::Seconds(2), type + "requests_total NaN\n")->samples.empty());
  CHECK(bench.ReadAfter(absl::Seconds(2), type + "requests_total 95\n")->samples.empty());
  CHECK(bench.ReadAfter(absl::Milliseconds(50), type + "requests_total 99\n")->samples.empty());
}

TEST_CASE("counters are compared one by one, and a new one makes their sum unknown once") {
  ScrapeBench bench;
  bench.spec.set_sum(true);
  bench.spec.mutable_scrape()->set_type(v1::PrometheusUsage::Scrape::COUNTER);
  const auto text = [](int get, int post) {
    return absl::StrCat("requests_total{m=\"get\"} ", get, "\nrequests_total{m=\"post\"} ", post,
                        "\n");
  };
  CHECK(bench.ReadAfter({}, "requests_total{m=\"get\"} 5\n")->samples.empty());
  CHECK(bench.ReadAfter(absl::Seconds(1), text(6, 3))->samples.empty());
  CHECK(bench.ReadAfter(absl::Seconds(1), text(8, 6))->samples.at(0).value() == 5);
  CHECK(bench.ReadAfter(absl::Seconds(1), text(100, 1))->samples.empty());
}

TEST_CASE("a gauge of a target is taken as it is, and a number without a type is asked about") {
  ScrapeBench bench;
  CHECK(bench.ReadAfter({}, "# TYPE requests_total gauge\nrequests_total 4\n")
            ->samples.at(0)
            .value() == 4);
  const auto untyped = bench.ReadAfter(absl::Seconds(1), "requests_total 4\n");
  CHECK(untyped.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(untyped.status().message()), Catch::Contains("wanted scrape.type"));
  const auto old = bench.ReadAfter(
      absl::Seconds(1), absl::StrCat("# TYPE requests_total gauge\nrequests_total 4 ",
                                     absl::ToUnixMillis(bench.now() - absl::Minutes(2)), "\n"));
  CHECK(old.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(absl::IsUnavailable(bench.ReadAfter({}, "# TYPE requests_total gauge\nreq").status()));
}

void WriteText(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

TEST_CASE("credentials are read again at each call, and are in no message") {
  const TempDirectory directory;
  const std::string token_file = directory.path() + "/token";
  PrometheusBench bench;
  bench.spec.set_bearer_token_file(token_file);
  bench.Answer(VectorReply({OneSeries(bench.now(), "1")}));
  CHECK(absl::IsUnavailable(bench.Read().status()));  // There is no file.
  CHECK(bench.http.requests().empty());
  for (const char* token : {"first-secret", "second-secret"}) {
    WriteText(token_file, absl::StrCat(token, "\n"));
    REQUIRE(bench.Read().ok());
    CHECK_THAT(bench.http.requests().back(),
               Catch::Contains(absl::StrCat("Authorization: Bearer ", token, "\r\n")));
  }
  bench.Answer(RawReply(400, R"({"status":"error","error":"bad token second-secret"})"));
  const std::string message(bench.Read().status().message());
  CHECK_THAT(message, !Catch::Contains("second-secret") && Catch::Contains("it answers 400"));
  WriteText(token_file, "a\r\nInjected: b");
  CHECK(absl::IsUnavailable(bench.Read().status()));
}

TEST_CASE("a name and a password are sent to the server alone, never to where it redirects") {
  const TempDirectory directory;
  WriteText(directory.path() + "/name", "ada");
  WriteText(directory.path() + "/password", "l0ve:lace\n");
  PrometheusBench bench;
  bench.spec.set_username_file(directory.path() + "/name");
  bench.spec.set_password_file(directory.path() + "/password");
  ScriptedHttp other(
      [&](const std::string&) { return VectorReply({OneSeries(bench.now(), "1")}); });
  bench.Answer(RawReply(307, "", absl::StrCat("Location: ", other.url(), "/x\r\n")));
  REQUIRE(bench.Read().ok());
  CHECK_THAT(bench.http.requests().at(0),
             Catch::Contains(absl::StrCat("Authorization: Basic ",
                                          absl::Base64Escape("ada:l0ve:lace"), "\r\n")));
  CHECK_THAT(other.requests().at(0), !Catch::Contains("Authorization"));
}

}  // namespace
}  // namespace shadow
