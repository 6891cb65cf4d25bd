// What the plans of the outcome game came to, beside a warm pool of fixed size. Pure; for
// outcome-plan.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "server/core/simulation/alternatives.h"
#include "server/core/simulation/replay.h"
#include "tests/outcome/planning.h"
#include "tests/outcome/trace.h"

namespace shadow::outcome {

// Of one series at one service level.
struct Outcome {
  double hit_rate = 1;        // Share of steps in which what was ready covered the need.
  double idle_share = 0;      // Instance-steps without work, launching ones too, to the work.
  double unserved_share = 0;  // Instance-steps that were missing, to the work.
  double created_per_day = 0;
};

// The same of a pool of fixed size whose size hindsight chose for this very hit rate: a need for
// every size, and linear between the two neighbours.
struct SeriesOutcome {
  std::string series;
  std::vector<Outcome> plans;  // By service level of the game.
  std::vector<Outcome> fixed;  // The fixed pool at the hit rate of that plan.
};

// The demand of `trace` as the alternatives see it.
simulation::NeedSeries NeedsOf(const Trace& trace, const Game& game, size_t first_step);

// `played`: what PlayTrace gave.
SeriesOutcome OutcomeOf(const std::string& series, const Trace& trace, const Game& game,
                        size_t first_step, std::span<const simulation::Replayed> played);

// The cheapest way of a sweep to `hit_rate`, interpolated; unset: none reaches it.
// e.g. (hit .9, idle 1) and (hit 1, idle 3) at .95: idle 2.
std::optional<Outcome> AtHitRate(std::vector<Outcome> sweep, double hit_rate);

// Over all series, at one service level. *geo*: the geometric mean of idle relative to the fixed
// pool's; .1 % of the work is added on both sides, so that a zero is no miracle.
struct Summary {
  double hit_mean = 0;
  double hit_worst = 1;
  std::string worst_series;
  double idle_mean = 0;
  double geo = 0;
  double unserved_mean = 0;
  double fixed_unserved_mean = 0;
  double created_per_day_mean = 0;
};

Summary SummaryOf(std::span<const SeriesOutcome> series, size_t level);

}  // namespace shadow::outcome
