#include "forecast/experts/young.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace shadow {
namespace {

constexpr size_t kChangesMin = 8;
constexpr int64_t kCellsMax = 512;  // Of history that is looked at.
constexpr int64_t kSpanMax = 512;

std::vector<float> ChangesOver(const History& history, int64_t span) {
  std::vector<float> changes;
  const int64_t first = std::max(history.first(), history.next() - kCellsMax);
  for (int64_t t = first + span; t < history.next(); ++t) {
    if (history.Missing(t) || history.Missing(t - span)) continue;
    changes.push_back(history.Filled(t) - history.Filled(t - span));
  }
  std::sort(changes.begin(), changes.end());
  return changes;
}

}  // namespace

double OrderStatistic(std::span<const float> sorted, double probability) {
  if (sorted.empty()) return 0;
  const double position = (static_cast<double>(sorted.size()) + 1) * probability - 1;
  if (position <= 0) return sorted.front();
  const auto low = static_cast<size_t>(position);
  if (low + 1 >= sorted.size()) return sorted.back();
  const double share = position - static_cast<double>(low);
  return sorted[low] + share * (static_cast<double>(sorted[low + 1]) - sorted[low]);
}

std::vector<std::vector<double>> YoungForecast(const History& history, std::span<const int> leads,
                                               std::span<const double> quantiles) {
  int64_t last = history.next() - 1;
  while (history.Missing(last)) --last;
  const double point = history.Filled(last);
  std::vector<std::vector<double>> rows;
  rows.reserve(leads.size());
  std::vector<float> changes = ChangesOver(history, 1);
  int64_t span = 1;     // What `changes` are over.
  int64_t longest = 1;  // The span that was last tried.
  for (const int lead : leads) {
    while (longest < lead && longest < kSpanMax) {
      longest *= 2;
      std::vector<float> longer = ChangesOver(history, longest);
      if (longer.size() < kChangesMin) continue;
      changes = std::move(longer);
      span = longest;
    }
    const double growth =
        lead > span ? std::sqrt(static_cast<double>(lead) / static_cast<double>(span)) : 1;
    std::vector<double>& row = rows.emplace_back();
    for (const double quantile : quantiles) {
      row.push_back(std::max(0.0, point + growth * OrderStatistic(changes, quantile)));
    }
  }
  return rows;
}

}  // namespace shadow
