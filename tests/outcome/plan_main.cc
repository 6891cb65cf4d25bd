// outcome-plan: plans each trace of the outcome game, writes the plans, and says what they came to
// beside a warm pool of fixed size; at given shortage costs, also what deciding by them came to.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/memory.h"
#include "tests/outcome/costs.h"
#include "tests/outcome/planning.h"
#include "tests/outcome/score.h"
#include "tests/outcome/trace.h"

namespace shadow::outcome {
namespace {

constexpr double kServiceLevels[] = {0.9, 0.95, 0.98, 0.99, 0.995, 0.999};

struct Flags {
  std::string data;
  std::string plans;
  std::string capacity;
  std::vector<std::string> series;
  int peak = 40;
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

// What one series came to; no outcome of a trace that is no longer than the warm-up.
struct Played {
  std::optional<SeriesOutcome> outcome;
  std::vector<Costs> costs;  // By shortage cost.
};

absl::Status WritePlans(const std::string& folder, const Trace& trace, const Game& game,
                        size_t first_step, std::span<const simulation::Replayed> played) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", folder));
  for (size_t i = 0; i < game.service_levels.size(); ++i) {
    const std::string path = absl::StrCat(folder, "/", game.service_levels[i], ".csv");
    const absl::Status written = WritePlan(path, trace, first_step, PlanOf(played[i], first_step));
    if (!written.ok()) return written;
  }
  return absl::OkStatus();
}

absl::StatusOr<Played> PlaySeries(const SeriesCapacity& series, const Flags& flags) {
  const auto trace = ReadTrace(absl::StrCat(flags.data, "/", series.series, ".csv"));
  if (!trace.ok()) return trace.status();
  const absl::Duration warmup = absl::Hours(24) * flags.warmup_days;
  const auto first_step = static_cast<size_t>(std::max<int64_t>(0, warmup / trace->step));
  if (first_step >= trace->values.size()) return Played();
  const Game game = {.lead = absl::Minutes(flags.lead_minutes),
                     .instance_capacity = series.instance_capacity > 0
                                              ? series.instance_capacity
                                              : CapacityOf(*trace, flags.peak),
                     .service_levels = {std::begin(kServiceLevels), std::end(kServiceLevels)},
                     .shortage_costs = flags.shortage_costs};
  const auto played = PlayTrace(*trace, game, first_step);
  if (!played.ok()) return played.status();
  if (!flags.plans.empty()) {
    const absl::Status written = WritePlans(absl::StrCat(flags.plans, "/", series.series), *trace,
                                            game, first_step, *played);
    if (!written.ok()) return written;
  }
  return Played{.outcome = OutcomeOf(series.series, *trace, game, first_step, *played),
                .costs = CostsOf(*trace, game, first_step, *played)};
}

void PrintOutcomes(const std::vector<Played>& all, const Flags& flags) {
  std::vector<SeriesOutcome> outcomes;
  for (const Played& one : all) {
    if (one.outcome.has_value()) outcomes.push_back(*one.outcome);
  }
  if (outcomes.empty()) return;
  std::printf("%zu series, lead %g min, geo: idle relative to a fixed pool of the same hit rate\n",
              outcomes.size(), flags.lead_minutes);
  for (size_t level = 0; level < std::size(kServiceLevels); ++level) {
    const Summary sum = SummaryOf(outcomes, level);
    std::printf(
        "asked %5g: geo %.3f, hit %.2f %% (worst %.2f, %s), idle %.1f %%, unserved %.3f %% (fixed "
        "pool %.3f), created a day %.0f\n",
        100 * kServiceLevels[level], sum.geo, 100 * sum.hit_mean, 100 * sum.hit_worst,
        sum.worst_series.c_str(), 100 * sum.idle_mean, 100 * sum.unserved_mean,
        100 * sum.fixed_unserved_mean, sum.created_per_day_mean);
  }
}

// Ratios over the series: geometric mean, and the worst.
void PrintCosts(const std::vector<Played>& all, const Flags& flags) {
  for (size_t i = 0; i < flags.shortage_costs.size(); ++i) {
    double level_logs = 0;
    double fixed_logs = 0;
    double worst = 0;
    int count = 0;
    for (const auto& [outcome, costs] : all) {
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

// All series, on all cores; how many could not be played.
int PlayAll(const std::vector<SeriesCapacity>& all, const Flags& flags) {
  std::atomic<size_t> next = 0;
  std::atomic<int> failed = 0;
  std::vector<Played> played(all.size());
  const auto work = [&] {
    for (size_t i = next++; i < all.size(); i = next++) {
      auto one = PlaySeries(all[i], flags);
      if (one.ok()) {
        played[i] = *std::move(one);
        continue;
      }
      ++failed;
      std::fprintf(stderr, "outcome-plan: %s: %s\n", all[i].series.c_str(),
                   std::string(one.status().message()).c_str());
    }
  };
  std::vector<std::jthread> workers(std::max(1U, std::thread::hardware_concurrency()));
  for (std::jthread& worker : workers) worker = std::jthread(work);
  workers.clear();  // Joins.
  if (failed == 0) {
    PrintOutcomes(played, flags);
    PrintCosts(played, flags);
  }
  return failed;
}

absl::StatusOr<std::vector<SeriesCapacity>> SeriesOf(const Flags& flags) {
  if (!flags.capacity.empty()) return ReadCapacities(flags.capacity);
  if (flags.series.empty()) {
    return absl::InvalidArgumentError("which series? Give --capacity or --series");
  }
  std::vector<SeriesCapacity> all;
  for (const std::string& series : flags.series) all.push_back({.series = series});
  return all;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Plans each trace of the outcome game: how many instances are to exist, by step."};
  app.add_option("data", flags.data, "folder of <series>.csv: timestamp,value")->required();
  app.add_option("plans", flags.plans,
                 "folder for <series>/<service level>.csv; none: not written");
  app.add_option("--capacity", flags.capacity,
                 "file of series,instance_capacity: the series to play; without it --series");
  app.add_option("--series", flags.series, "to play, of a capacity by --peak")->delimiter(',');
  app.add_option("--peak", flags.peak, "instances that the .999 quantile of a trace needs")
      ->check(CLI::PositiveNumber);
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
  const auto series = SeriesOf(flags);
  if (!series.ok()) {
    std::fprintf(stderr, "outcome-plan: %s\n", std::string(series.status().message()).c_str());
    return 2;
  }
  return PlayAll(*series, flags) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace shadow::outcome

int main(int argc, char** argv) {
  shadow::KeepFreedMemory();
  return shadow::outcome::Main(argc, argv);
}
