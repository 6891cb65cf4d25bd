// outcome-plan: plans each trace of the outcome game and writes the plans that its scorer reads;
// at given shortage costs, also says what deciding by them came to.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/outcome/costs.h"
#include "tests/outcome/planning.h"
#include "tests/outcome/trace.h"

namespace shadow::outcome {
namespace {

constexpr double kServiceLevels[] = {0.9, 0.95, 0.98, 0.99, 0.995, 0.999};

struct Flags {
  std::string data;
  std::string plans;
  std::string capacity;
  double lead_minutes = 10;
  double warmup_days = 5;
  std::vector<double> shortage_costs;
};

absl::Status WritePlan(const std::string& path, const Trace& trace, size_t first_step,
                       const std::vector<int>& wants) {
  std::ofstream file(path);
  file << "timestamp,want\n";
  for (size_t step = first_step; step < wants.size(); ++step) {
    file << trace.timestamps[step] << ',' << wants[step] << '\n';
  }
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

// The costs by shortage cost; none of a trace that is no longer than the warm-up.
absl::StatusOr<std::vector<Costs>> PlanSeries(const SeriesCapacity& series, const Flags& flags) {
  const auto trace = ReadTrace(absl::StrCat(flags.data, "/", series.series, ".csv"));
  if (!trace.ok()) return trace.status();
  const absl::Duration warmup = absl::Hours(24) * flags.warmup_days;
  const auto first_step = static_cast<size_t>(std::max<int64_t>(0, warmup / trace->step));
  if (first_step >= trace->values.size()) return std::vector<Costs>();
  const Game game = {.lead = absl::Minutes(flags.lead_minutes),
                     .instance_capacity = series.instance_capacity,
                     .service_levels = {std::begin(kServiceLevels), std::end(kServiceLevels)},
                     .shortage_costs = flags.shortage_costs};
  const std::string folder = absl::StrCat(flags.plans, "/", series.series);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", folder));
  const auto played = PlayTrace(*trace, game, first_step);
  if (!played.ok()) return played.status();
  for (size_t i = 0; i < game.service_levels.size(); ++i) {
    const std::string path = absl::StrCat(folder, "/", game.service_levels[i], ".csv");
    const absl::Status written =
        WritePlan(path, *trace, first_step, PlanOf((*played)[i], first_step));
    if (!written.ok()) return written;
  }
  return CostsOf(*trace, game, first_step, *played);
}

// Ratios over the series: geometric mean, and the worst.
void PrintCosts(const Flags& flags, const std::vector<std::vector<Costs>>& series) {
  for (size_t i = 0; i < flags.shortage_costs.size(); ++i) {
    double level_logs = 0;
    double fixed_logs = 0;
    double worst = 0;
    int count = 0;
    for (const std::vector<Costs>& costs : series) {
      if (costs.empty() || costs[i].best_level <= 0 || costs[i].best_fixed <= 0) continue;
      const double to_level = costs[i].by_costs / costs[i].best_level;
      level_logs += std::log(to_level);
      fixed_logs += std::log(costs[i].by_costs / costs[i].best_fixed);
      worst = std::max(worst, to_level);
      ++count;
    }
    if (count == 0) continue;
    std::printf(
        "shortage cost %6g: %.3f of the best service level's (worst series %.3f), "
        "%.3f of the best fixed pool's\n",
        flags.shortage_costs[i], std::exp(level_logs / count), worst, std::exp(fixed_logs / count));
  }
}

// All series, on all cores; how many could not be planned.
int PlanAll(const std::vector<SeriesCapacity>& all, const Flags& flags) {
  std::atomic<size_t> next = 0;
  std::atomic<int> failed = 0;
  std::vector<std::vector<Costs>> costs(all.size());
  const auto work = [&] {
    for (size_t i = next++; i < all.size(); i = next++) {
      auto planned = PlanSeries(all[i], flags);
      if (planned.ok()) {
        costs[i] = *std::move(planned);
        continue;
      }
      ++failed;
      std::fprintf(stderr, "outcome-plan: %s: %s\n", all[i].series.c_str(),
                   std::string(planned.status().message()).c_str());
    }
  };
  std::vector<std::jthread> workers(std::max(1U, std::thread::hardware_concurrency()));
  for (std::jthread& worker : workers) worker = std::jthread(work);
  workers.clear();  // Joins.
  if (failed == 0) PrintCosts(flags, costs);
  return failed;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Plans each trace of the outcome game: how many instances are to exist, by step."};
  app.add_option("data", flags.data, "folder of <series>.csv: timestamp,value")->required();
  app.add_option("plans", flags.plans, "folder for <series>/<service level>.csv")->required();
  app.add_option("--capacity", flags.capacity, "file of series,instance_capacity")->required();
  app.add_option("--lead-min", flags.lead_minutes, "from wanted to ready, minutes")
      ->check(CLI::PositiveNumber);
  app.add_option("--warmup-days", flags.warmup_days, "history before the first row of a plan")
      ->check(CLI::NonNegativeNumber);
  app.add_option(
         "--shortage-cost", flags.shortage_costs,
         "of an instance missing, that of an idle one being 1: what deciding by costs comes "
         "to; several are compared")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const auto capacities = ReadCapacities(flags.capacity);
  if (!capacities.ok()) {
    std::fprintf(stderr, "outcome-plan: %s\n", std::string(capacities.status().message()).c_str());
    return 2;
  }
  return PlanAll(*capacities, flags) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace shadow::outcome

int main(int argc, char** argv) { return shadow::outcome::Main(argc, argv); }
