// Answers of Prometheus' HTTP API, and those that no honest server gives.
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

TEST_CASE("scalars, vectors and matrices of the API are read") {
  const auto scalar = ParseAnswer(AnswerOf("scalar", R"([1435781451.781,"2.5"])"));
  REQUIRE(scalar.ok());
  CHECK(scalar->at(0).points.at(0) == std::pair(absl::FromUnixMillis(1435781451781), 2.5));
  const auto vector = ParseAnswer(AnswerOf(
      "vector", R"([{"metric":{"a":"b"},"value":[1,"NaN"]},{"metric":{},"value":[1,"+Inf"]}])"));
  REQUIRE(vector.ok());
  REQUIRE(vector->size() == 2);
  CHECK(vector->at(0).labels == R"({"a":"b"})");
  CHECK(std::isnan(vector->at(0).points.at(0).second));
  CHECK(std::isinf(vector->at(1).points.at(0).second));
  const auto matrix =
      ParseAnswer(AnswerOf("matrix", R"([{"metric":{},"values":[[1,"1"],[2,"3"]]}])"));
  REQUIRE(matrix.ok());
  CHECK(matrix->at(0).points.size() == 2);
  CHECK(ParseAnswer(AnswerOf("vector", "[]"))->empty());
}

TEST_CASE("an answer of the API that is none, or is not whole, is an error") {
  const std::string good = AnswerOf("vector", R"([{"metric":{},"value":[1,"2"]}])");
  const std::string warned =
      R"({"status":"success","warnings":["a store is away"],"data":{"resultType":"vector",)"
      R"("result":[]}})";
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("null"), good.substr(0, good.size() - 1),
        warned, AnswerOf("vector", "{}"), AnswerOf("vector", "[1]"),
        AnswerOf("vector", R"([{"value":[1,2]}])"), AnswerOf("vector", R"([{"value":["1","2"]}])"),
        AnswerOf("vector", R"([{"value":[1,"two"]}])"),
        AnswerOf("vector", R"([{"value":[-1,"2"]}])"), AnswerOf("scalar", "[1]"),
        AnswerOf("matrix", R"([{"values":[[2,"1"],[1,"1"]]}])"), AnswerOf("", "[]")}) {
    INFO(text);
    CHECK(ParseAnswer(text).status().code() == absl::StatusCode::kUnavailable);
  }
  for (const std::string& text : {AnswerOf("string", R"([1,"x"])"),
                                  AnswerOf("vector", R"([{"metric":{},"histogram":[1,{}]}])")}) {
    INFO(text);
    CHECK(ParseAnswer(text).status().code() == absl::StatusCode::kFailedPrecondition);
  }
  CHECK(PrometheusError(R"({"status":"error","error":"parse error"})") == "parse error");
  CHECK(PrometheusError("Service Unavailable").empty());
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
