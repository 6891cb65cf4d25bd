// The rows that the benchmarks print.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace shadow::bench {

// `share` in [0, 1] of `values`, in any order: 0.5 is the median. 0 where there is none.
double Quantile(std::vector<double> values, double share);

struct Row {
  std::string what;
  std::string unit;
  size_t count = 0;  // How many were measured.
  double median = 0;
  double p99 = 0;
  std::string target;  // In words; empty: none.
};

// Of single measurements in `unit`.
Row RowOf(std::string what, std::string unit, const std::vector<double>& values,
          std::string target = "");

void PrintTable(std::ostream& out, const std::vector<Row>& rows);

}  // namespace shadow::bench
