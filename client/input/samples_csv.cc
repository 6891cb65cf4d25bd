#include "client/input/samples_csv.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kLineBytesMax = 256;

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string_view Unquoted(std::string_view cell) {
  cell = Trimmed(cell);
  if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') {
    return Trimmed(cell.substr(1, cell.size() - 2));
  }
  return cell;
}

// One line: a sample, nothing (a missing value), or a message without its place.
absl::StatusOr<std::optional<v1::Sample>> ParseLine(std::string_view line) {
  const std::size_t comma = line.find(',');
  if (comma == std::string_view::npos || line.find(',', comma + 1) != std::string_view::npos ||
      line.size() > kLineBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", PrintableText(line.substr(0, kLineBytesMax)), "\" is not `timestamp,value`"));
  }
  absl::StatusOr<absl::Time> time = ParseTimeText(Unquoted(line.substr(0, comma)));
  if (!time.ok()) return time.status();
  const std::string_view value_text = Unquoted(line.substr(comma + 1));
  if (value_text.empty()) return std::nullopt;
  double value = 0;
  if (!absl::SimpleAtod(absl::string_view(value_text.data(), value_text.size()), &value) ||
      !std::isfinite(value) || value < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("value \"", PrintableText(value_text),
                     "\" is not a finite number of at least 0; leave it empty if it is missing"));
  }
  v1::Sample sample;
  *sample.mutable_time() = ToProto(*time);
  sample.set_value(value);
  return sample;
}

}  // namespace

absl::StatusOr<CsvSamples> ParseSamplesCsv(std::string_view text, std::string_view source) {
  CsvSamples csv;
  std::vector<v1::Sample>& samples = csv.samples;
  std::size_t line_number = 0;
  const auto fail = [&](std::string_view problem) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(source), ": line ", line_number, ": ", std::string(problem)));
  };
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  bool header_seen = false;
  while (!text.empty()) {
    ++line_number;
    const std::size_t end = text.find('\n');
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    if (!header_seen) {
      const std::size_t comma = line.find(',');
      if (comma == std::string_view::npos || Unquoted(line.substr(0, comma)) != "timestamp" ||
          Unquoted(line.substr(comma + 1)) != "value") {
        return fail("the header must be `timestamp,value`");
      }
      header_seen = true;
      continue;
    }
    absl::StatusOr<std::optional<v1::Sample>> sample = ParseLine(line);
    if (!sample.ok()) return fail(std::string(sample.status().message()));
    if (!sample->has_value()) continue;
    if (!samples.empty() && FromProto((*sample)->time()) <= FromProto(samples.back().time())) {
      return fail("its time is not after that of the sample before it");
    }
    if (samples.size() == kCsvSamplesMax) {
      return fail(absl::StrCat("more than ", kCsvSamplesMax, " samples; split the file"));
    }
    if (csv.zoneless_line == 0 && LacksZone(Unquoted(line.substr(0, line.find(','))))) {
      csv.zoneless_line = line_number;
    }
    samples.push_back(*std::move(*sample));
    csv.lines.push_back(line_number);
  }
  if (!header_seen) {
    line_number = 1;
    return fail("it is empty; wanted the header `timestamp,value` and samples");
  }
  if (samples.empty()) return fail("it ends without a sample");
  return csv;
}

}  // namespace shadow
