#include "forecast/candidates.h"

#include <algorithm>
#include <cmath>

namespace shadow {
namespace {

constexpr int64_t kShortWindow = 4;

double MeanOr(double sum, int64_t count) {
  return count > 0 ? sum / static_cast<double>(count) : kMissing;
}

// `offset` is needed only for a rho above 0.
double Combine(const Candidate& candidate, double base, double offset) {
  return std::max(0.0, candidate.rho > 0 ? base + candidate.rho * offset : base);
}

bool SameOffset(const Candidate& a, const Candidate& b) {
  return a.season == b.season && a.depth == b.depth && a.window == b.window;
}

}  // namespace

std::vector<Candidate> MakeCandidates(const std::vector<int64_t>& seasons) {
  std::vector<Candidate> candidates = {
      {.window = 1}, {.window = kShortWindow}, {.window = kWindowMax}};
  for (const int64_t season : seasons) {
    for (const int64_t depth : {int64_t{1}, kDepthMax}) {
      candidates.push_back({.season = season, .depth = depth, .window = kShortWindow, .rho = 0});
      candidates.push_back({.season = season, .depth = depth, .window = kShortWindow, .rho = 0.5});
      candidates.push_back({.season = season, .depth = depth, .window = kShortWindow, .rho = 1});
      candidates.push_back({.season = season, .depth = depth, .window = 1, .rho = 1});
    }
  }
  return candidates;
}

double SeasonalBase(const History& history, const Candidate& candidate, int64_t target,
                    int64_t lead) {
  const int64_t first = (lead + candidate.season - 1) / candidate.season;
  double sum = 0;
  int64_t count = 0;
  for (int64_t k = first; k < first + candidate.depth; ++k) {
    const double value = history.At(target - k * candidate.season);
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return MeanOr(sum, count);
}

double SeasonalOffset(const History& history, const Candidate& candidate, int64_t origin) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t i = origin; i > origin - candidate.window; --i) {
    const double difference = history.At(i) - SeasonalBase(history, candidate, i, 1);
    if (std::isnan(difference)) continue;
    sum += difference;
    ++count;
  }
  return MeanOr(sum, count);
}

double Level(const History& history, const Candidate& candidate, int64_t origin) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t i = origin; i > origin - candidate.window; --i) {
    const double value = history.At(i);
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return MeanOr(sum, count);
}

double Predict(const History& history, const Candidate& candidate, int64_t origin, int64_t lead) {
  if (candidate.season == 0) return Level(history, candidate, origin);
  const double base = SeasonalBase(history, candidate, origin + lead, lead);
  if (std::isnan(base)) return kMissing;
  const double offset = candidate.rho > 0 ? SeasonalOffset(history, candidate, origin) : 0;
  return std::isnan(offset) ? kMissing : Combine(candidate, base, offset);
}

void PredictAll(const History& history, const std::vector<Candidate>& candidates, int64_t origin,
                int64_t lead, std::vector<double>& predictions) {
  predictions.resize(candidates.size());
  double base = kMissing;
  double offset = kMissing;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    if (candidate.season == 0) {
      predictions[i] = Level(history, candidate, origin);
      continue;
    }
    const Candidate& before = candidates[i - 1];  // The first one is a level.
    if (candidate.season != before.season || candidate.depth != before.depth) {
      base = SeasonalBase(history, candidate, origin + lead, lead);
    }
    if (std::isnan(base)) {
      predictions[i] = kMissing;
      continue;
    }
    if (!SameOffset(candidate, before)) offset = SeasonalOffset(history, candidate, origin);
    predictions[i] =
        candidate.rho > 0 && std::isnan(offset) ? kMissing : Combine(candidate, base, offset);
  }
}

}  // namespace shadow
