#include "tests/forecast/eval/baselines.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace shadow::testing {
namespace {

// The nearest known neighbours of an unknown value, in their order, lie between it and the ends.
double Between(std::span<const double> values, size_t at) {
  size_t before = at;
  while (before > 0 && std::isnan(values[before])) --before;
  size_t after = at;
  while (after + 1 < values.size() && std::isnan(values[after])) ++after;
  const double low = values[before];
  const double high = values[after];
  if (std::isnan(low)) return high;
  if (std::isnan(high)) return low;
  const double share = static_cast<double>(at - before) / static_cast<double>(after - before);
  return low + share * (high - low);
}

// Missing values take that of the same slot of a near week or day; else they are interpolated.
std::vector<double> Filled(std::span<const double> values, size_t day) {
  std::vector<double> filled(values.begin(), values.end());
  const auto signed_day = static_cast<int64_t>(day);
  const auto size = static_cast<int64_t>(values.size());
  for (int64_t i = 0; i < size; ++i) {
    if (!std::isnan(values[static_cast<size_t>(i)])) continue;
    for (const int64_t days : {7, -7, 1, -1, 2, -2, 14, -14}) {
      const int64_t like = i - days * signed_day;
      if (like < 0 || like >= size || std::isnan(values[static_cast<size_t>(like)])) continue;
      filled[static_cast<size_t>(i)] = values[static_cast<size_t>(like)];
      break;
    }
  }
  const std::vector<double> known = filled;
  for (size_t i = 0; i < known.size(); ++i) {
    if (std::isnan(known[i])) filled[i] = Between(known, i);
  }
  return filled;
}

std::vector<double> QuantilesOf(std::vector<double> values, std::span<const double> quantiles) {
  std::sort(values.begin(), values.end());
  std::vector<double> result;
  for (const double quantile : quantiles) result.push_back(QuantileOf(values, quantile));
  return result;
}

std::vector<double> Moved(double point, const std::vector<double>& errors) {
  std::vector<double> row;
  for (const double error : errors) row.push_back(point + error);
  return row;
}

}  // namespace

double QuantileOf(std::span<const double> sorted, double probability) {
  const double position = probability * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(position);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (position - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

Paths SeasonalNaive(const BaselineInput& input, bool weekly) {
  const std::vector<double> values = Filled(input.history, input.day);
  size_t season = weekly ? 7 * input.day : input.day;
  if (values.size() < 2 * season) season = input.day;
  Paths rows;
  std::vector<double> errors;
  for (size_t step = 0; step < input.horizon; ++step) {
    const size_t back = (step / season + 1) * season;
    if (step % season == 0) {
      std::vector<double> missed;
      for (size_t i = back; i < values.size(); ++i) missed.push_back(values[i] - values[i - back]);
      errors = QuantilesOf(std::move(missed), input.quantiles);
    }
    rows.push_back(Moved(values[values.size() + step - back], errors));
  }
  return rows;
}

Paths SameSlotMean(const BaselineInput& input) {
  const std::vector<double> values = Filled(input.history, input.day);
  const bool weekly = values.size() >= 14 * input.day;
  const size_t season = weekly ? 7 * input.day : input.day;
  const size_t seasons = std::min<size_t>(weekly ? 4 : 7, values.size() / season);
  const auto count = static_cast<double>(seasons);
  const std::span<const double> recent = std::span(values).last(seasons * season);
  std::vector<double> means(season);
  for (size_t i = 0; i < recent.size(); ++i) means[i % season] += recent[i] / count;
  // Of a mean of n values one of them is nearer than a new one is.
  const double widen = seasons > 1 ? std::sqrt(count / (count - 1) * (1 + 1 / count)) : 0;
  std::vector<double> missed;
  for (size_t i = 0; i < recent.size(); ++i) {
    missed.push_back(widen * (recent[i] - means[i % season]));
  }
  const std::vector<double> errors = QuantilesOf(std::move(missed), input.quantiles);
  Paths rows;
  for (size_t step = 0; step < input.horizon; ++step) {
    rows.push_back(Moved(means[step % season], errors));
  }
  return rows;
}

}  // namespace shadow::testing
