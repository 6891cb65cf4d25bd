#include "server/core/simulation/alternatives.h"

#include <algorithm>
#include <cmath>

#include "forecast/need/load.h"

namespace shadow::simulation {
namespace {

size_t LeadOf(const NeedSeries& series) { return static_cast<size_t>(series.lead_steps); }

int LeastOf(const std::vector<int>& values, size_t first, size_t last) {
  return *std::min_element(values.begin() + static_cast<int64_t>(first),
                           values.begin() + static_cast<int64_t>(last) + 1);
}

// What there is of `wants`, ready or not, by step. The first step finds all that it wants.
std::vector<int> Existing(const NeedSeries& series, std::span<const int> wants) {
  std::vector<int> there;
  for (size_t t = 0; t < wants.size(); ++t) {
    int want = wants[t];
    if (!series.most.empty()) want = std::min(want, series.most[t]);
    if (t > 0) {
      const int ready = LeastOf(there, t - std::min(t, LeadOf(series)), t - 1);
      want = std::min(want, std::max(there[t - 1], ready + series.creations_max));
    }
    there.push_back(want);
  }
  return there;
}

}  // namespace

NeedSeries NeedsOf(const DemandSeries& demand, double base, double capacity) {
  NeedSeries needs{.needs = {}, .work = {}, .step = demand.step, .most = {}};
  for (const double value : demand.values) {
    const bool known = !std::isnan(value);
    needs.needs.push_back(known ? std::optional(NeedBeside(value, base, capacity)) : std::nullopt);
    needs.work.push_back(known ? NeedBeside(value, 0, capacity) : 0);
  }
  return needs;
}

std::vector<StepTally> TalliesOf(const NeedSeries& series, std::span<const int> wants) {
  const std::vector<int> there = Existing(series, wants);
  std::vector<StepTally> tallies;
  for (size_t t = series.first_scored; t < wants.size(); ++t) {
    StepTally tally;
    tally.need = series.needs[t];
    tally.work = series.work[t];
    tally.wanted = there[t];
    tally.ready = LeastOf(there, t - std::min(t, LeadOf(series)), t);
    tally.active = std::min(tally.ready, tally.need.value_or(0));
    tally.created = t == 0 ? 0 : std::max(0, there[t] - there[t - 1]);
    tallies.push_back(tally);
  }
  return tallies;
}

std::vector<int> LastNeeds(const NeedSeries& series) {
  std::vector<int> lasts;
  int last = 0;
  for (const std::optional<int>& need : series.needs) {
    lasts.push_back(last);
    last = need.value_or(last);
  }
  return lasts;
}

std::vector<StepTally> FixedPool(const NeedSeries& series, int spare) {
  std::vector<int> wants = LastNeeds(series);
  for (int& want : wants) want += spare;
  return TalliesOf(series, wants);
}

std::optional<int> SpareFor(const NeedSeries& series, double hit_rate) {
  const auto reaches = [&](int spare) {
    return ScoreOf(FixedPool(series, spare), series.step).hit_rate >= hit_rate;
  };
  if (!reaches(kSpareMax)) return std::nullopt;
  int low = 0;  // More spare ones never miss more.
  int high = kSpareMax;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (reaches(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

std::vector<StepTally> TargetTracking(const NeedSeries& series, double headroom,
                                      absl::Duration window) {
  std::vector<int> raw = LastNeeds(series);
  for (int& want : raw) {
    want = std::max(want + 1, NeedOf(want * headroom));
  }
  const auto steps = static_cast<size_t>(std::max<int64_t>(1, window / series.step));
  std::vector<int> wants;
  for (size_t t = 0; t < raw.size(); ++t) {
    const size_t from = t + 1 - std::min(t + 1, steps);
    wants.push_back(*std::max_element(raw.begin() + static_cast<int64_t>(from),
                                      raw.begin() + static_cast<int64_t>(t) + 1));
  }
  return TalliesOf(series, wants);
}

std::vector<StepTally> ColdStarts(const NeedSeries& series) {
  return TalliesOf(series, LastNeeds(series));
}

std::vector<StepTally> BaseOnly(const NeedSeries& series) {
  return TalliesOf(series, std::vector<int>(series.needs.size(), 0));
}

}  // namespace shadow::simulation
