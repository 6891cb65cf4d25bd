// The text format of targets.
#include "server/usage/exposition.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <string>

#include "server/usage/http_get.h"

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

TEST_CASE("the URL that is shown has no credentials") {
  CHECK(PublicUrl("http://u:p@h:9090/x?token=y") == "http://h:9090/x");
  CHECK(PublicUrl("https://h/a@b#c") == "https://h/a@b");
  CHECK(PublicUrl("http://h") == "http://h");
  CHECK(PublicUrl("") == "no URL");
}

}  // namespace
}  // namespace shadow
