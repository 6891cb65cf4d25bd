// A folder of traces with the tasks that are cut from them (tests/data/traces).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/forecast/eval/tasks.h"

namespace shadow::testing {

// One row of series.csv, with its trace.
struct TraceTasks {
  Task task;  // Its id is the series.
  std::vector<TimedValue> trace;
  size_t history = 0;           // Steps before an origin that a forecaster is given.
  std::vector<size_t> origins;  // Index of the first step that is forecast.
};

// `folder`/series.csv: series,step_s,history,horizon,time_zone,origins; origins are separated by
// spaces. `folder`/<series>.csv: timestamp,value. kNotFound: no such file. kInvalidArgument, with
// the line: not such a row, or an origin without its history or its horizon.
absl::StatusOr<std::vector<TraceTasks>> ReadTraceSet(const std::string& folder);

}  // namespace shadow::testing
