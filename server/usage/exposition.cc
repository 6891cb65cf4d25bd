#include "server/usage/exposition.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/text.h"

namespace shadow {
namespace {

using Labels = std::map<std::string, std::string>;

constexpr double kTimeMaxMillis = 253'402'300'799'000;  // The end of the year 9999.

// Reads one line from its begin.
class Line {
 public:
  explicit Line(std::string_view text) : text_(text) {}

  void SkipSpace() {
    text_.remove_prefix(std::min(text_.find_first_not_of(" \t\r"), text_.size()));
  }
  bool Ended() const { return text_.empty(); }
  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  // Up to white space or one of `ends`; may be empty.
  std::string_view Word(std::string_view ends) {
    size_t length = 0;
    while (length < text_.size() && !IsSpace(text_[length]) &&
           ends.find(text_[length]) == std::string_view::npos) {
      ++length;
    }
    const std::string_view word = text_.substr(0, length);
    text_.remove_prefix(length);
    return word;
  }
  // What a label's quotes hold.
  std::optional<std::string> QuotedText() {
    if (!Take('"')) return std::nullopt;
    std::string value;
    while (!text_.empty()) {
      const char c = text_.front();
      text_.remove_prefix(1);
      if (c == '"') return value;
      if (c != '\\') {
        value += c;
      } else if (text_.empty()) {
        return std::nullopt;
      } else {
        value += text_.front() == 'n' ? '\n' : text_.front();
        text_.remove_prefix(1);
      }
    }
    return std::nullopt;
  }

 private:
  static bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r'; }
  std::string_view text_;
};

std::optional<Labels> ParseLabels(Line& line) {
  Labels labels;
  if (!line.Take('{')) return labels;
  while (true) {
    line.SkipSpace();
    if (line.Take('}')) return labels;
    const std::string name(line.Word("=,}\""));
    line.SkipSpace();
    if (name.empty() || !line.Take('=')) return std::nullopt;
    line.SkipSpace();
    auto value = line.QuotedText();
    if (!value || !labels.emplace(name, *std::move(value)).second) return std::nullopt;
    line.SkipSpace();
    if (!line.Take(',')) {
      if (!line.Take('}')) return std::nullopt;
      return labels;
    }
  }
}

std::optional<double> ParseNumber(std::string_view word) {
  double value = 0;
  if (!absl::SimpleAtod(absl::string_view(word.data(), word.size()), &value)) return std::nullopt;
  return value;
}

// After the name. Unset: it is not understood.
std::optional<ExposedSeries> ParseRest(Line& line, bool open_metrics) {
  ExposedSeries series;
  line.SkipSpace();
  auto labels = ParseLabels(line);
  if (!labels) return std::nullopt;
  series.labels = *std::move(labels);
  line.SkipSpace();
  const auto value = ParseNumber(line.Word(""));
  if (!value) return std::nullopt;
  series.value = *value;
  line.SkipSpace();
  if (line.Take('#') || line.Ended()) return series;  // An exemplar, or nothing.
  const auto time = ParseNumber(line.Word(""));
  const double millis = time.value_or(-1) * (open_metrics ? 1000 : 1);
  if (!(millis >= 0 && millis <= kTimeMaxMillis)) return std::nullopt;
  series.time = absl::FromUnixMillis(std::llround(millis));
  line.SkipSpace();
  if (!line.Take('#') && !line.Ended()) return std::nullopt;
  return series;
}

// Of the series named `metric`, by the TYPE of its family.
ExposedMetric::Type TypeOf(std::string_view family, std::string_view type, std::string_view metric,
                           bool open_metrics) {
  const bool same = family == metric;
  const std::string_view suffix =
      metric.starts_with(family) ? metric.substr(family.size()) : std::string_view();
  if (type == "counter" && (same || (open_metrics && suffix == "_total"))) {
    return ExposedMetric::Type::kCounter;
  }
  if (type == "gauge" && same) return ExposedMetric::Type::kGauge;
  if (type == "histogram" && (suffix == "_count" || suffix == "_sum" || suffix == "_bucket")) {
    return ExposedMetric::Type::kCounter;
  }
  if (type == "summary") {
    if (suffix == "_count" || suffix == "_sum") return ExposedMetric::Type::kCounter;
    if (same) return ExposedMetric::Type::kGauge;
  }
  return ExposedMetric::Type::kUnknown;
}

// A line that begins with "#".
void ParseComment(Line& line, std::string_view metric, bool open_metrics, ExposedMetric& exposed) {
  line.SkipSpace();
  if (line.Word("") != "TYPE") return;
  line.SkipSpace();
  const std::string_view family = line.Word("");
  line.SkipSpace();
  const ExposedMetric::Type type = TypeOf(family, line.Word(""), metric, open_metrics);
  if (type != ExposedMetric::Type::kUnknown) exposed.type = type;
}

}  // namespace

absl::StatusOr<ExposedMetric> ParseExposition(std::string_view text, std::string_view metric,
                                              const Labels& labels, bool open_metrics) {
  ExposedMetric exposed;
  int number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = text.find('\n');
    // The number may go on where the text was broken off.
    if (end == std::string_view::npos) {
      return absl::UnavailableError(absl::StrCat("the answer ends in the midst of line ", number));
    }
    Line line(text.substr(0, end));
    text.remove_prefix(end + 1);
    line.SkipSpace();
    if (line.Take('#')) {
      ParseComment(line, metric, open_metrics, exposed);
      continue;
    }
    if (line.Ended()) continue;
    const std::string_view name = line.Word("{");
    const bool named =
        !name.empty() && (IsAlnum(name.front()) || name.front() == '_' || name.front() == ':');
    if (named && name != metric) continue;
    auto series = named ? ParseRest(line, open_metrics) : std::nullopt;
    if (!series) {
      return absl::UnavailableError(
          absl::StrCat("line ", number, " is not in the text format of Prometheus"));
    }
    const bool wanted = std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
      const auto found = series->labels.find(label.first);
      return found != series->labels.end() && found->second == label.second;
    });
    if (!wanted) continue;
    if (exposed.series.size() == kExposedSeriesMax) {
      return absl::FailedPreconditionError(
          absl::StrCat("more than ", kExposedSeriesMax, " series match"));
    }
    exposed.series.push_back(*std::move(series));
  }
  return exposed;
}

}  // namespace shadow
