// Answers that no honest Prometheus server gives.
#include "server/usage/prometheus_answer.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

absl::StatusOr<std::vector<PrometheusSeries>> ParseAnswer(const std::string& text) {
  return ParsePrometheusAnswer(text, [](const std::string& words) { return words; });
}

std::string AnswerOf(const std::string& type, const std::string& result) {
  return absl::StrCat(R"({"status":"success","data":{"resultType":")", type, R"(","result":)",
                      result, "}}");
}

std::string Nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') +
         std::string(static_cast<size_t>(depth), ']');
}

TEST_CASE("a value is a number as Prometheus writes it, and nothing else") {
  const struct {
    const char* point;
    const char* understood;  // The value; empty: it is not.
  } cases[] = {
      {R"([1,"7"])", "7"},       {R"([1.5,"-0"])", "-0"},
      {R"([1,"1e400"])", "inf"}, {R"([1,"NaN"])", "nan"},
      {R"([1,"+Inf"])", "inf"},  {R"([1,"-Inf"])", "-inf"},
      {R"(["1","7"])", ""},      {R"([1,7])", ""},
      {R"([-1,"7"])", ""},       {R"([1e18,"7"])", ""},
      {R"([1e400,"7"])", ""},    {R"([1,"7",2])", ""},
      {R"([1,""])", ""},         {R"([1,"7 requests"])", ""},
      {R"(null)", ""},
  };
  for (const auto& c : cases) {
    INFO(c.point);
    const auto series = ParseAnswer(AnswerOf("scalar", c.point));
    if (*c.understood == '\0') {
      CHECK(absl::IsUnavailable(series.status()));
    } else {
      REQUIRE(series.ok());
      CHECK(absl::StrCat(series->at(0).points.at(0).second) == c.understood);
    }
  }
}

TEST_CASE("an answer that is nested without end is not understood, wherever it is") {
  const std::string deep = Nested(100'000);
  for (const std::string& text :
       {deep, AnswerOf("vector", deep),
        AnswerOf("vector", absl::StrCat(R"([{"metric":)", deep, R"(,"value":[1,"7"]}])")),
        AnswerOf("matrix", absl::StrCat(R"([{"metric":{},"values":)", deep, "}]")),
        std::string(100'000, '['), std::string(100'000, '{')}) {
    CHECK(absl::IsUnavailable(ParseAnswer(text).status()));
    CHECK(PrometheusError(text).empty());
  }
  CHECK(PrometheusError(absl::StrCat(R"({"error":)", deep, "}")).empty());
}

TEST_CASE("one series that is told twice is not understood, because it would count twice") {
  const std::string one = R"({"metric":{"a":"1","b":"2"},"value":[1,"7"]})";
  const std::string again = R"({"metric":{"b":"2","a":"1"},"value":[1,"7"]})";
  const std::string other = R"({"metric":{"a":"1"},"value":[1,"7"]})";
  CHECK(ParseAnswer(AnswerOf("vector", absl::StrCat("[", one, ",", other, "]")))->size() == 2);
  CHECK(absl::IsUnavailable(
      ParseAnswer(AnswerOf("vector", absl::StrCat("[", one, ",", again, "]"))).status()));
}

TEST_CASE("times of a range ascend") {
  const auto range = [](const std::string& points) {
    return ParseAnswer(AnswerOf("matrix", R"([{"metric":{},"values":[)" + points + "]}]"));
  };
  CHECK(range(R"([1,"7"],[2,"7"])").ok());
  CHECK(absl::IsUnavailable(range(R"([2,"7"],[1,"7"])").status()));
  CHECK(absl::IsUnavailable(range(R"([1,"7"],[1,"8"])").status()));
}

TEST_CASE("a million series are refused by their number") {
  std::string all = "[";
  for (int i = 0; i < 1'000'000; ++i) all += "{},";
  all += "{}]";
  const absl::Status status = ParseAnswer(AnswerOf("vector", all)).status();
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(status.message()), Catch::Contains("1000001 series"));
}

}  // namespace
}  // namespace shadow
