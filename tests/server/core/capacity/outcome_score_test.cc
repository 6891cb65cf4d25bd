// What plans of the outcome game come to, by hand.
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "tests/outcome/score.h"

namespace shadow::outcome {
namespace {

Outcome At(double hit_rate, double idle_share) {
  return {
      .hit_rate = hit_rate, .idle_share = idle_share, .unserved_share = 0, .created_per_day = 0};
}

TEST_CASE("a hit rate between two sizes costs what lies between them") {
  const std::vector<Outcome> sweep = {At(.9, 1), At(1, 3)};
  CHECK(AtHitRate(sweep, .95)->idle_share == Approx(2));
  CHECK(AtHitRate(sweep, .9)->idle_share == Approx(1));
  CHECK(AtHitRate(sweep, .5)->idle_share == Approx(1));
  CHECK_FALSE(AtHitRate({At(.9, 1)}, .95).has_value());
}

TEST_CASE("an instance carries a part of the .999 quantile of a trace") {
  Trace trace;
  for (int i = 0; i <= 1000; ++i) trace.values.push_back(i);
  trace.values.push_back(std::nan(""));
  CHECK(CapacityOf(trace, 10) == Approx(99.9));
  CHECK(CapacityOf(Trace(), 10) == Approx(1));
}

TEST_CASE("a summary takes means, the worst series and the geometric mean of idle") {
  SeriesOutcome half;
  half.series = "half";
  half.plans = {At(.9, .999)};
  half.fixed = {At(.9, 1.999)};
  SeriesOutcome twice;
  twice.series = "twice";
  twice.plans = {At(1, 1.999)};
  twice.fixed = {At(1, .999)};
  const std::vector<SeriesOutcome> series = {half, twice};
  const Summary summary = SummaryOf(series, 0);
  CHECK(summary.geo == Approx(1));
  CHECK(summary.hit_mean == Approx(.95));
  CHECK(summary.hit_worst == Approx(.9));
  CHECK(summary.worst_series == "half");
}

}  // namespace
}  // namespace shadow::outcome
