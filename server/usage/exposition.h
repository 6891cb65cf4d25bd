// The text format in which targets expose their metrics to Prometheus, and OpenMetrics. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow {

struct ExposedSeries {
  std::map<std::string, std::string> labels;
  double value = 0;  // NaN and infinities too.
  std::optional<absl::Time> time;
};

struct ExposedMetric {
  enum class Type { kUnknown, kCounter, kGauge };
  Type type = Type::kUnknown;  // Of a histogram and a summary, what only grows is a counter.
  std::vector<ExposedSeries> series;
};

inline constexpr size_t kExposedSeriesMax = 10'000;

// The series named `metric` that have all of `labels`, in their order; of others nothing is kept.
// `open_metrics`: times are in seconds, and a counter's TYPE is of the name without "_total".
// kUnavailable, naming the line: the text is not in this format, or ends in the midst of a line.
// kFailedPrecondition: more than kExposedSeriesMax match.
absl::StatusOr<ExposedMetric> ParseExposition(std::string_view text, std::string_view metric,
                                              const std::map<std::string, std::string>& labels,
                                              bool open_metrics);

}  // namespace shadow
