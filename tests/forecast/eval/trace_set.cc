#include "tests/forecast/eval/trace_set.h"

#include <fstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace shadow::testing {
namespace {

// False: not a row of series.csv.
bool Parse(const std::string& line, TraceTasks& tasks) {
  const std::vector<std::string> fields = absl::StrSplit(line, ',');
  int64_t step_seconds = 0;
  if (fields.size() != 6 || !absl::SimpleAtoi(fields[1], &step_seconds) || step_seconds <= 0 ||
      !absl::SimpleAtoi(fields[2], &tasks.history) ||
      !absl::SimpleAtoi(fields[3], &tasks.task.horizon) || tasks.task.horizon <= 0 ||
      !absl::LoadTimeZone(fields[4], &tasks.task.zone)) {
    return false;
  }
  tasks.task.id = tasks.task.series = fields[0];
  tasks.task.step = absl::Seconds(step_seconds);
  for (const auto& origin : absl::StrSplit(fields[5], ' ')) {
    if (!absl::SimpleAtoi(origin, &tasks.origins.emplace_back())) return false;
  }
  return true;
}

bool HasRoom(const TraceTasks& tasks, size_t origin) {
  return origin >= tasks.history &&
         origin + static_cast<size_t>(tasks.task.horizon) <= tasks.trace.size();
}

}  // namespace

absl::StatusOr<std::vector<TraceTasks>> ReadTraceSet(const std::string& folder) {
  const std::string path = folder + "/series.csv";
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::vector<TraceTasks> all;
  for (int number = 2; std::getline(file, line); ++number) {
    TraceTasks tasks;
    if (!Parse(line, tasks)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": not a row of it"));
    }
    auto trace = ReadHistory(folder, tasks.task.series);
    if (!trace.ok()) return trace.status();
    tasks.trace = *std::move(trace);
    for (const size_t origin : tasks.origins) {
      if (HasRoom(tasks, origin)) continue;
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": origin ", origin,
                                                     " has no full history or no full horizon"));
    }
    all.push_back(std::move(tasks));
  }
  return all;
}

}  // namespace shadow::testing
