// What the HTTP API of a Prometheus server answers. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow {

struct PrometheusSeries {
  std::string labels;  // For messages: {"__name__":"up"}
  // When, and what; NaN and infinities too.
  std::vector<std::pair<absl::Time, double>> points;
};

inline constexpr size_t kPrometheusSeriesMax = 10'000;

// Of a scalar one series without labels, of a vector one point each, of a matrix several; empty:
// there is nothing. kUnavailable: the text is no such answer, tells one series twice, or has
// warnings, which say that data is missing. kFailedPrecondition: a string, a histogram, too many
// series. `quote`: of the server's words, for a message.
absl::StatusOr<std::vector<PrometheusSeries>> ParsePrometheusAnswer(
    std::string_view text, absl::FunctionRef<std::string(const std::string&)> quote);

// The `error` of an answer that is one; empty: the text is none.
std::string PrometheusError(std::string_view text);

}  // namespace shadow
