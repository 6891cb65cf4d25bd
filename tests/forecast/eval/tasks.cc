#include "tests/forecast/eval/tasks.h"

#include <fstream>
#include <limits>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace shadow::testing {
namespace {

absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::vector<std::string> lines;
  std::string line;
  while (std::getline(file, line)) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

absl::Status Bad(const std::string& path, size_t line) {
  return absl::InvalidArgumentError(absl::StrCat(path, ":", line, ": not a row of this file"));
}

}  // namespace

absl::StatusOr<std::vector<double>> ReadQuantiles(const std::string& folder) {
  const std::string path = folder + "/quantiles.txt";
  std::ifstream file(path);
  std::vector<double> quantiles;
  double quantile = 0;
  while (file >> quantile) quantiles.push_back(quantile);
  if (quantiles.empty()) return absl::NotFoundError(absl::StrCat("no quantiles in ", path));
  return quantiles;
}

absl::StatusOr<std::vector<Task>> ReadManifest(const std::string& folder) {
  const std::string path = folder + "/manifest.csv";
  auto lines = ReadLines(path);
  if (!lines.ok()) return lines.status();
  std::vector<Task> tasks;
  for (size_t i = 1; i < lines->size(); ++i) {
    const std::vector<std::string> fields = absl::StrSplit((*lines)[i], ',');
    Task task;
    int64_t step = 0;
    if (fields.size() < 7 || !absl::SimpleAtoi(fields[2], &step) ||
        !absl::SimpleAtoi(fields[4], &task.horizon) || !absl::LoadTimeZone(fields[6], &task.zone)) {
      return Bad(path, i + 1);
    }
    task.id = fields[0];
    task.series = fields[1];
    task.step = absl::Seconds(step);
    tasks.push_back(task);
  }
  return tasks;
}

absl::StatusOr<std::vector<TimedValue>> ReadHistory(const std::string& folder,
                                                    const std::string& id) {
  const std::string path = absl::StrCat(folder, "/", id, ".csv");
  auto lines = ReadLines(path);
  if (!lines.ok()) return lines.status();
  std::vector<TimedValue> values;
  for (size_t i = 1; i < lines->size(); ++i) {
    const std::vector<std::string> fields = absl::StrSplit((*lines)[i], ',');
    TimedValue row;
    std::string error;
    if (fields.size() != 2 || !absl::ParseTime(absl::RFC3339_full, fields[0], &row.time, &error)) {
      return Bad(path, i + 1);
    }
    if (fields[1].empty()) {
      row.value = std::numeric_limits<double>::quiet_NaN();
    } else if (!absl::SimpleAtod(fields[1], &row.value)) {
      return Bad(path, i + 1);
    }
    values.push_back(row);
  }
  return values;
}

absl::StatusOr<std::vector<std::vector<double>>> RunTask(const Task& task,
                                                         const std::vector<TimedValue>& history,
                                                         const std::vector<double>& quantiles,
                                                         Fits fits) {
  const auto forecaster = MakeForecaster({.step = task.step,
                                          .season_lengths = {absl::Hours(24), absl::Hours(168)},
                                          .time_zone = task.zone});
  forecaster->SetPast(fits == Fits::kImported);
  for (const TimedValue& row : history) {
    const absl::Status status = forecaster->Update(row.time, row.value);
    if (!status.ok()) return status;
  }
  forecaster->SetPast(false);
  return forecaster->Forecast(task.horizon, quantiles);
}

}  // namespace shadow::testing
