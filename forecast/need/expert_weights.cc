#include "forecast/need/expert_weights.h"

#include <algorithm>
#include <cmath>

namespace shadow {
namespace {

constexpr float kRateMin = 0.05F;
constexpr float kFirstSamples = 20;  // The first rate is 1 / this.
constexpr float kSeenMax = 1000;     // By then the rate has long been kRateMin.
constexpr float kWeightMin = 0.002F;
constexpr float kLikelihoodMin = 1e-12F;

}  // namespace

ExpertWeights::ExpertWeights(int horizons)
    : horizons_(horizons), rows_(At(kGates, 0)), seen_(At(kGates, 0)) {
  for (Row& row : rows_) row.fill(1.0F / kNeedExperts);
}

void ExpertWeights::Learn(int gate, int horizon, const Row& likelihood) {
  Row& row = rows_[At(gate, horizon)];
  float& seen = seen_[At(gate, horizon)];
  const float rate = std::max(kRateMin, 1 / (seen + kFirstSamples));
  seen = std::min(seen + 1, kSeenMax);
  Row share;
  float sum = 0;
  for (size_t expert = 0; expert < kNeedExperts; ++expert) {
    share[expert] = row[expert] * std::max(likelihood[expert], kLikelihoodMin);
    sum += share[expert];
  }
  float total = 0;
  for (size_t expert = 0; expert < kNeedExperts; ++expert) {
    row[expert] = std::max(row[expert] + rate * (share[expert] / sum - row[expert]), kWeightMin);
    total += row[expert];
  }
  for (float& weight : row) weight /= total;
}

size_t ExpertWeights::StateBytes() const {
  return sizeof(*this) + rows_.size() * sizeof(Row) + seen_.size() * sizeof(float);
}

void ExpertWeights::Save(SavedWriter& writer) const {
  for (const Row& row : rows_) {
    for (const float weight : row) writer.F32(weight);
  }
  for (const float seen : seen_) writer.F32(seen);
}

bool ExpertWeights::Restore(SavedReader& reader) {
  bool fits = true;
  for (Row& row : rows_) {
    float sum = 0;
    for (float& weight : row) {
      weight = reader.F32();
      fits = fits && weight > 0;
      sum += weight;
    }
    fits = fits && std::abs(sum - 1) < 1e-3F;
  }
  for (float& seen : seen_) {
    seen = reader.F32();
    fits = fits && seen >= 0 && seen <= kSeenMax;
  }
  return fits && reader.ok();
}

}  // namespace shadow
