// A trace of demand, as the files of the outcome game hold it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace shadow::outcome {

struct Trace {
  std::vector<std::string> timestamps;  // As written.
  std::vector<double> values;           // NaN: missing.
  absl::Time begin;                     // Of the first step, moved down to a multiple of `step`.
  absl::Duration step;
};

// A file of `timestamp,value` lines on a regular grid, after a header; an empty value is missing.
// kNotFound: no such file. kInvalidArgument, with the line: not such a file, or fewer than two
// steps.
absl::StatusOr<Trace> ReadTrace(const std::string& path);

// The demand that an instance carries of which `peak` carry the .999 quantile of the trace.
double CapacityOf(const Trace& trace, int peak);

// The demand that an instance carries, by series.
struct SeriesCapacity {
  std::string series;
  double instance_capacity = 0;  // 0: not given.
};

// A file of `series,instance_capacity` lines after a header. Errors as ReadTrace.
absl::StatusOr<std::vector<SeriesCapacity>> ReadCapacities(const std::string& path);

}  // namespace shadow::outcome
