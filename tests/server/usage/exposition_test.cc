// The text format of targets, and the answers of Prometheus' HTTP API.
#include "server/usage/exposition.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <string>

#include "server/usage/http_get.h"
#include "server/usage/prometheus_answer.h"

namespace shadow {
namespace {

using Type = ExposedMetric::Type;

constexpr char kExposed[] =
    "# HELP http_requests_total All \"requests\".\n"
    "# TYPE http_requests_total counter\n"
    "http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n"
    "http_requests_total{method=\"get\", code=\"200\",} 3\n"
    "http_requests_total_more 9\n"
    "\n"
    "# A comment.\n"
    "  escaped { path = \"C:\\\\D\\n\\\"x\\\"}\" } 1.5e3\r\n"
    "# TYPE latency histogram\n"
    "latency_bucket{le=\"+Inf\"} 7\n"
    "latency_count 7\n"
    "# TYPE load gauge\n"
    "load NaN\n";

TEST_CASE("the series of one metric are read with their labels, values and times") {
  const auto all = ParseExposition(kExposed, "http_requests_total", {}, false);
  REQUIRE(all.ok());
  CHECK(all->type == Type::kCounter);
  REQUIRE(all->series.size() == 2);
  CHECK(all->series[0].value == 1027);
  CHECK(all->series[0].time == absl::FromUnixSeconds(1395066363));
  CHECK(all->series[1].labels.at("method") == "get");
  CHECK_FALSE(all->series[1].time.has_value());

  const auto get = ParseExposition(kExposed, "http_requests_total", {{"method", "get"}}, false);
  REQUIRE(get.ok());
  REQUIRE(get->series.size() == 1);
  CHECK(get->series[0].value == 3);
  CHECK(
      ParseExposition(kExposed, "http_requests_total", {{"method", "put"}}, false)->series.empty());

  const auto escaped = ParseExposition(kExposed, "escaped", {}, false);
  REQUIRE(escaped.ok());
  CHECK(escaped->type == Type::kUnknown);
  CHECK(escaped->series.at(0).labels.at("path") == "C:\\D\n\"x\"}");
  CHECK(escaped->series.at(0).value == 1500);

  CHECK(ParseExposition(kExposed, "latency_count", {}, false)->type == Type::kCounter);
  const auto load = ParseExposition(kExposed, "load", {}, false);
  CHECK(load->type == Type::kGauge);
  CHECK(std::isnan(load->series.at(0).value));
}

TEST_CASE("OpenMetrics has times in seconds, exemplars and counters without their suffix") {
  const std::string text =
      "# TYPE jobs counter\n"
      "jobs_total 5 1395066363.5 # {trace=\"a\"} 0.1 1395066363.1\n"
      "# EOF\n";
  const auto jobs = ParseExposition(text, "jobs_total", {}, true);
  REQUIRE(jobs.ok());
  CHECK(jobs->type == Type::kCounter);
  CHECK(jobs->series.at(0).time == absl::FromUnixMillis(1395066363500));
}

TEST_CASE("a text that is broken off or none is an error, not a number") {
  for (const char* text : {"up 12", "up 12\nup{a=\"b\"} 3", "<html></html>\n", "up\n", "up x\n",
                           "up 1 2 3\n", "up{a=\"b} 1\n", "up{a=b} 1\n", "up{=\"b\"} 1\n",
                           "up{a=\"b\",a=\"c\"} 1\n", "up 1 -5\n", "up 1 1e300\n", "{} 1\n"}) {
    INFO(text);
    CHECK(ParseExposition(text, "up", {}, false).status().code() == absl::StatusCode::kUnavailable);
  }
  std::string many;
  for (size_t i = 0; i <= kExposedSeriesMax; ++i) many += "up{i=\"" + std::to_string(i) + "\"} 1\n";
  CHECK(ParseExposition(many, "up", {}, false).status().code() ==
        absl::StatusCode::kFailedPrecondition);
}

std::string ApiAnswer(const std::string& type, const std::string& result) {
  return R"({"status":"success","data":{"resultType":")" + type + R"(","result":)" + result + "}}";
}

TEST_CASE("scalars, vectors and matrices of the API are read") {
  const auto scalar = ParsePrometheusAnswer(ApiAnswer("scalar", R"([1435781451.781,"2.5"])"));
  REQUIRE(scalar.ok());
  CHECK(scalar->at(0).points.at(0) == std::pair(absl::FromUnixMillis(1435781451781), 2.5));
  const auto vector = ParsePrometheusAnswer(ApiAnswer(
      "vector", R"([{"metric":{"a":"b"},"value":[1,"NaN"]},{"metric":{},"value":[1,"+Inf"]}])"));
  REQUIRE(vector.ok());
  REQUIRE(vector->size() == 2);
  CHECK(vector->at(0).labels == R"({"a":"b"})");
  CHECK(std::isnan(vector->at(0).points.at(0).second));
  CHECK(std::isinf(vector->at(1).points.at(0).second));
  const auto matrix =
      ParsePrometheusAnswer(ApiAnswer("matrix", R"([{"metric":{},"values":[[1,"1"],[2,"3"]]}])"));
  REQUIRE(matrix.ok());
  CHECK(matrix->at(0).points.size() == 2);
  CHECK(ParsePrometheusAnswer(ApiAnswer("vector", "[]"))->empty());
}

TEST_CASE("an answer of the API that is none, or is not whole, is an error") {
  const std::string good = ApiAnswer("vector", R"([{"metric":{},"value":[1,"2"]}])");
  const std::string warned =
      R"({"status":"success","warnings":["a store is away"],"data":{"resultType":"vector",)"
      R"("result":[]}})";
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("null"), good.substr(0, good.size() - 1),
        warned, ApiAnswer("vector", "{}"), ApiAnswer("vector", "[1]"),
        ApiAnswer("vector", R"([{"value":[1,2]}])"),
        ApiAnswer("vector", R"([{"value":["1","2"]}])"),
        ApiAnswer("vector", R"([{"value":[1,"two"]}])"),
        ApiAnswer("vector", R"([{"value":[-1,"2"]}])"), ApiAnswer("scalar", "[1]"),
        ApiAnswer("matrix", R"([{"values":[[2,"1"],[1,"1"]]}])"), ApiAnswer("", "[]")}) {
    INFO(text);
    CHECK(ParsePrometheusAnswer(text).status().code() == absl::StatusCode::kUnavailable);
  }
  for (const std::string& text : {ApiAnswer("string", R"([1,"x"])"),
                                  ApiAnswer("vector", R"([{"metric":{},"histogram":[1,{}]}])")}) {
    INFO(text);
    CHECK(ParsePrometheusAnswer(text).status().code() == absl::StatusCode::kFailedPrecondition);
  }
  CHECK(PrometheusError(R"({"status":"error","error":"parse error"})") == "parse error");
  CHECK(PrometheusError("Service Unavailable").empty());
}

TEST_CASE("the URL that is shown has no credentials") {
  CHECK(PublicUrl("http://u:p@h:9090/x?token=y") == "http://h:9090/x");
  CHECK(PublicUrl("https://h/a@b#c") == "https://h/a@b");
  CHECK(PublicUrl("http://h") == "http://h");
  CHECK(PublicUrl("") == "no URL");
}

}  // namespace
}  // namespace shadow
