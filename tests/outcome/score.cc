#include "tests/outcome/score.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "server/core/simulation/score.h"

namespace shadow::outcome {
namespace {

using simulation::NeedSeries;
using simulation::StepTally;

constexpr int kEachSpareMost = 60;  // Beyond it every third size is tried.
constexpr int kAskedSpareMost = 200;

Outcome MeasureOf(std::span<const StepTally> tallies, absl::Duration step) {
  const simulation::Score score = simulation::ScoreOf(tallies, step);
  return {.hit_rate = score.hit_rate,
          .idle_share = score.idle_share,
          .unserved_share = score.unserved_share,
          .created_per_day = score.created_per_day};
}

// Every size that is tried, from `least` on.
std::vector<int> Sizes(int least) {
  std::vector<int> sizes;
  for (int size = least; size < kAskedSpareMost; size += size < kEachSpareMost + 2 ? 1 : 3) {
    if (size != kEachSpareMost + 1) sizes.push_back(size);
  }
  return sizes;
}

std::vector<Outcome> FixedPools(const NeedSeries& needs) {
  std::vector<Outcome> sweep;
  for (const int spare : Sizes(0)) {
    sweep.push_back(MeasureOf(simulation::FixedPool(needs, spare), needs.step));
  }
  return sweep;
}

// Everything always on: where no refilled pool reaches the hit rate.
std::vector<Outcome> AlwaysOn(const NeedSeries& needs) {
  std::vector<Outcome> sweep;
  for (const int size : Sizes(1)) {
    const std::vector<int> wants(needs.needs.size(), size);
    sweep.push_back(MeasureOf(simulation::TalliesOf(needs, wants), needs.step));
  }
  return sweep;
}

Outcome Between(const Outcome& low, const Outcome& high, double hit_rate) {
  const double share = (hit_rate - low.hit_rate) / (high.hit_rate - low.hit_rate);
  const auto mix = [share](double from, double to) { return from + share * (to - from); };
  return {.hit_rate = hit_rate,
          .idle_share = mix(low.idle_share, high.idle_share),
          .unserved_share = mix(low.unserved_share, high.unserved_share),
          .created_per_day = mix(low.created_per_day, high.created_per_day)};
}

}  // namespace

NeedSeries NeedsOf(const Trace& trace, const Game& game, size_t first_step) {
  NeedSeries needs =
      simulation::NeedsOf({.begin = trace.begin, .step = trace.step, .values = trace.values}, 0,
                          game.instance_capacity);
  needs.lead_steps = LeadSteps(game.lead, trace.step);
  needs.first_scored = first_step;
  return needs;
}

std::optional<Outcome> AtHitRate(std::vector<Outcome> sweep, double hit_rate) {
  std::sort(sweep.begin(), sweep.end(), [](const Outcome& a, const Outcome& b) {
    return std::tie(a.hit_rate, a.idle_share) < std::tie(b.hit_rate, b.idle_share);
  });
  std::optional<Outcome> best;
  for (size_t i = 0; i < sweep.size(); ++i) {
    if (sweep[i].hit_rate < hit_rate) continue;
    const bool between = i > 0 && sweep[i - 1].hit_rate < hit_rate && hit_rate < sweep[i].hit_rate;
    const Outcome here = between ? Between(sweep[i - 1], sweep[i], hit_rate) : sweep[i];
    if (!best.has_value() || here.idle_share < best->idle_share) best = here;
  }
  return best;
}

SeriesOutcome OutcomeOf(const std::string& series, const Trace& trace, const Game& game,
                        size_t first_step, std::span<const simulation::Replayed> played) {
  const NeedSeries needs = NeedsOf(trace, game, first_step);
  const std::vector<Outcome> pools = FixedPools(needs);
  const std::vector<Outcome> always_on = AlwaysOn(needs);
  SeriesOutcome outcome = {.series = series, .plans = {}, .fixed = {}};
  for (size_t level = 0; level < game.service_levels.size(); ++level) {
    std::vector<int> wants = PlanOf(played[level], first_step);
    std::fill_n(wants.begin(), first_step, wants[first_step]);  // None is launched at the start.
    const Outcome plan = MeasureOf(simulation::TalliesOf(needs, wants), needs.step);
    auto fixed = AtHitRate(pools, plan.hit_rate);
    if (!fixed.has_value()) fixed = AtHitRate(always_on, plan.hit_rate);
    constexpr double kNever = std::numeric_limits<double>::infinity();
    outcome.plans.push_back(plan);
    outcome.fixed.push_back(fixed.value_or(Outcome{.idle_share = kNever}));
  }
  return outcome;
}

Summary SummaryOf(std::span<const SeriesOutcome> series, size_t level) {
  constexpr double kMargin = .001;
  Summary summary;
  const auto count = static_cast<double>(series.size());
  double logs = 0;
  for (const SeriesOutcome& one : series) {
    const Outcome& plan = one.plans[level];
    const Outcome& fixed = one.fixed[level];
    summary.hit_mean += plan.hit_rate / count;
    summary.idle_mean += plan.idle_share / count;
    summary.unserved_mean += plan.unserved_share / count;
    summary.fixed_unserved_mean += fixed.unserved_share / count;
    summary.created_per_day_mean += plan.created_per_day / count;
    logs += std::log((plan.idle_share + kMargin) / (fixed.idle_share + kMargin));
    if (plan.hit_rate > summary.hit_worst && !summary.worst_series.empty()) continue;
    summary.hit_worst = plan.hit_rate;
    summary.worst_series = one.series;
  }
  summary.geo = std::exp(logs / count);
  return summary;
}

}  // namespace shadow::outcome
