#include "server/usage/prometheus_answer.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

using nlohmann::json;

constexpr double kUnixSecondsMax = 253'402'300'799;  // The end of the year 9999.

// A native histogram's bucket lies at 7.
constexpr int kNestingMax = 16;

// Whether the brackets of a JSON text nest more deeply than that.
bool NestsTooDeeply(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') ++i;
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if ((c == '[' || c == '{') && ++depth > kNestingMax) return true;
    if (c == ']' || c == '}') --depth;
  }
  return false;
}

// Discarded where it is no JSON, or nested more deeply: a copy or a text of it takes a frame of the
// stack for each level. The parser's own callback could tell, but is quadratic in long lists.
json ParseJson(std::string_view text) {
  if (NestsTooDeeply(text)) return json(json::value_t::discarded);
  return json::parse(text, nullptr, /*allow_exceptions=*/false);
}

absl::Status NotUnderstood() {
  return absl::UnavailableError("the answer is not one of Prometheus' HTTP API");
}

// The member of an object; a null where there is none.
const json& MemberOf(const json& object, const char* name) {
  static const json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

std::string TextOf(const json& value) { return value.is_string() ? value.get<std::string>() : ""; }

// [1435781451.781, "1"]
std::optional<std::pair<absl::Time, double>> ParsePoint(const json& point) {
  if (!point.is_array() || point.size() != 2 || !point[0].is_number() || !point[1].is_string()) {
    return std::nullopt;
  }
  const double seconds = point[0].get<double>();
  double value = 0;
  if (!(seconds >= 0 && seconds <= kUnixSecondsMax) ||
      !absl::SimpleAtod(point[1].get_ref<const std::string&>(), &value)) {
    return std::nullopt;
  }
  // To the millisecond, which is what Prometheus has.
  return std::pair(absl::FromUnixMillis(std::llround(seconds * 1000)), value);
}

absl::StatusOr<PrometheusSeries> ParseSeries(const json& object, bool matrix) {
  PrometheusSeries series;
  series.labels = MemberOf(object, "metric").dump(-1, ' ', true, json::error_handler_t::replace);
  if (object.is_object() && (object.contains("histogram") || object.contains("histograms"))) {
    return absl::FailedPreconditionError("the result is a histogram; wanted a number");
  }
  const json& points = MemberOf(object, matrix ? "values" : "value");
  if (!matrix) {
    const auto point = ParsePoint(points);
    if (!point) return NotUnderstood();
    series.points.push_back(*point);
    return series;
  }
  if (!points.is_array()) return NotUnderstood();
  for (const json& value : points) {
    const auto point = ParsePoint(value);
    if (!point || (!series.points.empty() && point->first <= series.points.back().first)) {
      return NotUnderstood();
    }
    series.points.push_back(*point);
  }
  return series;
}

}  // namespace

absl::StatusOr<std::vector<PrometheusSeries>> ParsePrometheusAnswer(
    std::string_view text, absl::FunctionRef<std::string(const std::string&)> quote) {
  const json answer = ParseJson(text);
  if (TextOf(MemberOf(answer, "status")) != "success") return NotUnderstood();
  const json& warnings = MemberOf(answer, "warnings");
  if (warnings.is_array() && !warnings.empty()) {
    return absl::UnavailableError(absl::StrCat("the server warns that its answer is not whole: ",
                                               quote(TextOf(warnings[0]))));
  }
  const json& data = MemberOf(answer, "data");
  const std::string type = TextOf(MemberOf(data, "resultType"));
  const json& result = MemberOf(data, "result");
  std::vector<PrometheusSeries> all;
  if (type == "scalar") {
    const auto point = ParsePoint(result);
    if (!point) return NotUnderstood();
    all.push_back({.labels = "{}", .points = {*point}});
    return all;
  }
  if (type != "vector" && type != "matrix") {
    return type.empty() ? NotUnderstood()
                        : absl::FailedPreconditionError(absl::StrCat(
                              "the result is a ", quote(type), "; wanted a number or a vector"));
  }
  if (!result.is_array()) return NotUnderstood();
  if (result.size() > kPrometheusSeriesMax) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the result has ", result.size(), " series; at most ", kPrometheusSeriesMax, " are taken"));
  }
  std::unordered_set<std::string> seen;
  for (const json& object : result) {
    auto series = ParseSeries(object, type == "matrix");
    if (!series.ok()) return series.status();
    if (!seen.insert(series->labels).second) return NotUnderstood();  // It would count twice.
    all.push_back(*std::move(series));
  }
  return all;
}

std::string PrometheusError(std::string_view text) {
  return TextOf(MemberOf(ParseJson(text), "error"));
}

}  // namespace shadow
