// JSON: the range query of Prometheus, and CloudWatch's get-metric-data and get-metric-statistics.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/import/import.h"
#include "client/import/import_columns.h"
#include "client/import/import_rows.h"
#include "client/text.h"

namespace shadow {
namespace {

using nlohmann::json;

// One that could be imported: a series, a metric, a statistic.
struct Candidate {
  std::string name;
  const json* data = nullptr;
};

const json& MemberOf(const json& object, const char* name) {
  static const json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

std::string TextOf(const json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', true, json::error_handler_t::replace);
}

// "line 3, column 14" of a byte.
std::string PlaceOfByte(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, byte == 0 ? 0 : byte - 1);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t begin = before.rfind('\n');
  const std::size_t column = before.size() - (begin == std::string_view::npos ? 0 : begin + 1) + 1;
  return absl::StrCat("line ", line, ", column ", column);
}

absl::StatusOr<json> ParseText(std::string_view text) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(PlaceOfByte(text, error.byte), ": it is not JSON"));
  } catch (const json::exception&) {  // Of a number that no double holds.
    return absl::InvalidArgumentError("it holds a number that is too large");
  }
}

// The one that `wanted` names, by name or by number from 1; empty: the only one.
absl::StatusOr<Candidate> Choose(const std::vector<Candidate>& all, const std::string& wanted,
                                 const char* what) {
  std::size_t number = 0;
  if (absl::SimpleAtoi(wanted, &number) && number >= 1 && number <= all.size()) {
    return all[number - 1];
  }
  std::vector<std::string> names;
  for (const Candidate& one : all) {
    if (one.name == wanted) return one;
    names.push_back(PrintableText(one.name));
  }
  if (all.empty()) return absl::InvalidArgumentError(absl::StrCat("it holds no ", what));
  if (wanted.empty() && all.size() == 1) return all.front();
  constexpr std::size_t kNamesMax = 10;
  if (names.size() > kNamesMax) names.resize(kNamesMax);
  const std::string many = absl::StrCat("it holds ", all.size(), " of ", what, ", 1 to ",
                                        all.size(), ": ", absl::StrJoin(names, ", "));
  return absl::InvalidArgumentError(
      wanted.empty()
          ? absl::StrCat(many, "; name one with --value-column")
          : absl::StrCat("--value-column: there is no \"", PrintableText(wanted), "\"; ", many));
}

absl::Status AtPoint(std::size_t point, const std::string& words) {
  return absl::InvalidArgumentError(absl::StrCat("point ", point, ": ", words));
}

// A number, or one in quotes. Unset: missing.
absl::StatusOr<std::optional<double>> NumberOf(const json& value) {
  if (value.is_null()) return std::nullopt;
  double number = 0;
  if (value.is_number()) {
    number = value.get<double>();
  } else if (const std::string text = TextOf(value); IsMissing(text)) {
    return std::nullopt;
  } else if (!absl::SimpleAtod(text, &number)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", PrintableText(text), "\" is no number"));
  }
  return number;
}

absl::Status AddPoint(const json& time, const json& value, std::size_t point,
                      const ImportOptions& options, ImportRows& rows) {
  const auto parsed =
      ParseImportedTime(TextOf(time), options.time_zone.value_or(absl::UTCTimeZone()));
  if (!parsed.ok()) return AtPoint(point, std::string(parsed.status().message()));
  const auto number = NumberOf(value);
  if (!number.ok()) return AtPoint(point, std::string(number.status().message()));
  if (!*number) {
    rows.Miss();
    return absl::OkStatus();
  }
  const absl::Status added = rows.Add(*parsed, **number, point);
  return added.ok() ? added : AtPoint(point, std::string(added.message()));
}

// [{"metric": {...}, "values": [[1777636800, "1.5"], ...]}, ...]
absl::StatusOr<std::string> FromPrometheus(const json& result, const ImportOptions& options,
                                           ImportRows& rows) {
  std::vector<Candidate> all;
  for (const json& one : result) {
    const json& values = MemberOf(one, "values");
    if (!values.is_array()) {
      return absl::InvalidArgumentError(
          "it is the answer to an instant query of Prometheus; wanted one to /api/v1/query_range");
    }
    all.push_back({.name = TextOf(MemberOf(one, "metric")), .data = &values});
  }
  const auto chosen = Choose(all, options.value_column, "series");
  if (!chosen.ok()) return chosen.status();
  std::size_t point = 0;
  for (const json& pair : *chosen->data) {
    ++point;
    if (!pair.is_array() || pair.size() != 2) return AtPoint(point, "wanted [time, \"value\"]");
    absl::Status added = AddPoint(pair[0], pair[1], point, options, rows);
    if (!added.ok()) return added;
  }
  return absl::StrCat("range query of Prometheus\n  series ", PrintableText(chosen->name), "\n");
}

// {"MetricDataResults": [{"Label": "web", "Timestamps": [...], "Values": [...]}]}
absl::StatusOr<std::string> FromMetricData(const json& results, const ImportOptions& options,
                                           ImportRows& rows) {
  std::vector<Candidate> all;
  for (const json& one : results) {
    const json& label = MemberOf(one, "Label");
    all.push_back({.name = TextOf(label.is_string() ? label : MemberOf(one, "Id")), .data = &one});
  }
  const auto chosen = Choose(all, options.value_column, "metrics");
  if (!chosen.ok()) return chosen.status();
  const json& times = MemberOf(*chosen->data, "Timestamps");
  const json& values = MemberOf(*chosen->data, "Values");
  if (!times.is_array() || !values.is_array() || times.size() != values.size()) {
    return absl::InvalidArgumentError("wanted as many Timestamps as Values");
  }
  for (std::size_t i = 0; i < times.size(); ++i) {
    absl::Status added = AddPoint(times[i], values[i], i + 1, options, rows);
    if (!added.ok()) return added;
  }
  return absl::StrCat("get-metric-data of CloudWatch\n  metric \"", PrintableText(chosen->name),
                      "\"\n");
}

// {"Label": "web", "Datapoints": [{"Timestamp": "...", "Sum": 1.5, "Unit": "Count"}]}
absl::StatusOr<std::string> FromStatistics(const json& answer, const ImportOptions& options,
                                           ImportRows& rows) {
  const json& points = MemberOf(answer, "Datapoints");
  std::vector<Candidate> all;
  if (points.is_array() && !points.empty()) {
    for (const char* name : {"Sum", "Average", "Maximum", "Minimum", "SampleCount"}) {
      if (!MemberOf(points[0], name).is_null()) all.push_back({.name = name, .data = &points});
    }
  }
  const auto chosen = Choose(all, options.value_column, "statistics");
  if (!chosen.ok()) return chosen.status();
  std::size_t number = 0;
  for (const json& point : points) {
    absl::Status added = AddPoint(MemberOf(point, "Timestamp"),
                                  MemberOf(point, chosen->name.c_str()), ++number, options, rows);
    if (!added.ok()) return added;
  }
  rows.Sort();  // CloudWatch promises no order.
  return absl::StrCat("get-metric-statistics of CloudWatch\n  \"",
                      PrintableText(TextOf(MemberOf(answer, "Label"))), "\": ", chosen->name,
                      " of each period, unit ", PrintableText(TextOf(MemberOf(points[0], "Unit"))),
                      "\n");
}

absl::StatusOr<std::string> FromAny(const json& answer, const ImportOptions& options,
                                    ImportRows& rows) {
  if (answer.is_array()) return FromPrometheus(answer, options, rows);
  if (const json& results = MemberOf(answer, "MetricDataResults"); results.is_array()) {
    return FromMetricData(results, options, rows);
  }
  if (!MemberOf(answer, "Datapoints").is_null()) return FromStatistics(answer, options, rows);
  const json& data = MemberOf(answer, "data");
  const json& result = MemberOf(data.is_null() ? answer : data, "result");
  if (result.is_array()) return FromPrometheus(result, options, rows);
  return absl::InvalidArgumentError(
      "it is JSON, but neither a range query of Prometheus nor metrics of CloudWatch");
}

}  // namespace

absl::StatusOr<Imported> ImportJson(std::string_view text, std::string_view source,
                                    const ImportOptions& options) {
  const auto fail = [&](const absl::Status& status) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(source), ": ", std::string(status.message())));
  };
  const absl::StatusOr<json> answer = ParseText(text);
  if (!answer.ok()) return fail(answer.status());
  ImportRows rows(options.scale);
  auto told = FromAny(*answer, options, rows);
  if (!told.ok()) return fail(told.status());
  Imported imported;
  imported.place = "point";
  const std::string zone =
      !rows.zoneless() ? ""
                       : absl::StrCat(" without a zone, read in ",
                                      options.time_zone ? options.time_zone->name() : "UTC");
  imported.told =
      absl::StrCat(std::string(source), ": ", *told, "  times: ", rows.form(), zone,
                   options.scale == 1 ? "" : absl::StrCat("; values times ", options.scale), "\n");
  if (absl::Status status = rows.Finish(imported); !status.ok()) return fail(status);
  if (options.time_zone) imported.zoneless_place = 0;
  return imported;
}

}  // namespace shadow
