// forecast-score FOLDER...: forecasts the tasks of each folder of traces, and prints the losses
// relative to weekly seasonal naive, the coverage, and the series that fares worst against the best
// baseline. --series prints a line for each series too. --running: by the fit that a pool which
// runs would go by, not by one of all that it was given.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "server/memory.h"
#include "tests/forecast/eval/score.h"
#include "tests/forecast/eval/trace_set.h"

namespace shadow::testing {
namespace {

constexpr size_t kTasksMin = 10;  // Fewer say little of one series.

std::string NameOf(const std::string& folder) {
  const size_t end = folder.find_last_not_of('/');
  const size_t slash = folder.find_last_of('/', end);
  const size_t begin = slash == std::string::npos ? 0 : slash + 1;
  return folder.substr(begin, end + 1 - begin);
}

// False, after a message: the folder cannot be scored.
bool Score(const std::string& folder, Fits fits, bool each) {
  const auto set = ReadTraceSet(folder);
  const auto series = set.ok() ? ScoreSet(*set, fits) : set.status();
  if (!series.ok()) {
    absl::FPrintF(stderr, "forecast-score: %s\n", series.status().message());
    return false;
  }
  size_t tasks = 0;
  for (const SeriesScore& one : *series) {
    tasks += one.tasks;
    if (!each) continue;
    absl::PrintF("%-22s rel %.3f near %.3f, daily naive %.3f, same-slot mean %.3f\n", one.series,
                 one.own.all / one.weekly.all, one.own.near / one.weekly.near,
                 one.daily.all / one.weekly.all, one.same_slot.all / one.weekly.all);
  }
  const SetScore score = ScoreOf(*series, kTasksMin);
  absl::PrintF("%s: %d series, %d tasks: rel %.3f near %.3f, covered", NameOf(folder),
               series->size(), tasks, score.rel, score.near_rel);
  for (size_t i = 0; i < kScoredQuantiles.size(); ++i) {
    absl::PrintF(" %g: %.3f", kScoredQuantiles[i], score.covered[i]);
  }
  if (!score.worst_series.empty()) {
    absl::PrintF(", worst %.3f (%s)", score.worst, score.worst_series);
  }
  absl::PrintF("\n");
  return true;
}

int Main(int argc, char** argv) {
  bool each = false;
  Fits fits = Fits::kImported;
  std::vector<std::string> folders;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--series") == 0) {
      each = true;
    } else if (std::strcmp(argv[i], "--running") == 0) {
      fits = Fits::kRunning;
    } else {
      folders.emplace_back(argv[i]);
    }
  }
  if (folders.empty()) {
    absl::FPrintF(stderr, "usage: forecast-score [--series] [--running] FOLDER...\n");
    return 2;
  }
  for (const std::string& folder : folders) {
    if (!Score(folder, fits, each)) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace shadow::testing

int main(int argc, char** argv) {
  shadow::KeepFreedMemory();
  return shadow::testing::Main(argc, argv);
}
