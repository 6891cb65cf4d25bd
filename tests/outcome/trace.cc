#include "tests/outcome/trace.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace shadow::outcome {
namespace {

// Calls `take` with the two fields of each line but the header.
absl::Status ForEachPair(const std::string& path,
                         const std::function<bool(const std::string&, const std::string&)>& take) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  std::string line;
  std::getline(file, line);
  for (int number = 2; std::getline(file, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    if (fields.size() < 2 || !take(fields[0], fields[1])) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": cannot read \"", line, "\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Trace> ReadTrace(const std::string& path) {
  Trace trace;
  const absl::Status read =
      ForEachPair(path, [&](const std::string& timestamp, const std::string& text) {
        double value = std::numeric_limits<double>::quiet_NaN();
        if (!text.empty() && !absl::SimpleAtod(text, &value)) return false;
        trace.timestamps.push_back(timestamp);
        trace.values.push_back(value);
        return true;
      });
  if (!read.ok()) return read;
  if (trace.values.size() < 2) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": fewer than two steps"));
  }
  absl::Time begin;
  absl::Time second;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, trace.timestamps[0], &begin, &error) ||
      !absl::ParseTime(absl::RFC3339_full, trace.timestamps[1], &second, &error) ||
      second <= begin) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no grid of times: ", error));
  }
  trace.step = second - begin;
  trace.begin = absl::UnixEpoch() + absl::Floor(begin - absl::UnixEpoch(), trace.step);
  return trace;
}

double CapacityOf(const Trace& trace, int peak) {
  constexpr double kPeakQuantile = .999;
  std::vector<double> known;
  for (const double value : trace.values) {
    if (!std::isnan(value)) known.push_back(value);
  }
  if (known.empty()) return 1;  // It needs nothing of any size.
  std::sort(known.begin(), known.end());
  const double at = kPeakQuantile * static_cast<double>(known.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, known.size() - 1);
  return (known[low] + (at - static_cast<double>(low)) * (known[high] - known[low])) / peak;
}

absl::StatusOr<std::vector<SeriesCapacity>> ReadCapacities(const std::string& path) {
  std::vector<SeriesCapacity> capacities;
  const absl::Status read =
      ForEachPair(path, [&](const std::string& series, const std::string& text) {
        double capacity = 0;
        if (!absl::SimpleAtod(text, &capacity) || !(capacity > 0)) return false;
        capacities.push_back({.series = series, .instance_capacity = capacity});
        return true;
      });
  if (!read.ok()) return read;
  return capacities;
}

}  // namespace shadow::outcome
