#include "tests/bench/table.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "absl/strings/str_format.h"

namespace shadow::bench {

double Quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
}

Row RowOf(std::string what, std::string unit, const std::vector<double>& values,
          std::string target) {
  return {.what = std::move(what),
          .unit = std::move(unit),
          .count = values.size(),
          .median = Quantile(values, 0.5),
          .p99 = Quantile(values, 0.99),
          .target = std::move(target)};
}

void PrintTable(std::ostream& out, const std::vector<Row>& rows) {
  out << absl::StrFormat("%-52s %7s %12s %12s  %-10s %s\n", "what", "n", "median", "p99", "unit",
                         "target");
  for (const Row& row : rows) {
    out << absl::StrFormat("%-52s %7d %12.3f %12.3f  %-10s %s\n", row.what, row.count, row.median,
                           row.p99, row.unit, row.target);
  }
}

}  // namespace shadow::bench
