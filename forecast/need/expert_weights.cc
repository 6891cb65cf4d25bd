#include "forecast/need/expert_weights.h"

#include <algorithm>
#include <cmath>

namespace shadow {
namespace {

constexpr float kRateMin = 0.1F;
constexpr float kFirstSamples = 8;  // The first rate is 1 / this.
constexpr float kSeenMax = 1000;    // By then the rate has long been kRateMin.
constexpr float kWeightMin = 0.002F;
constexpr float kLikelihoodMin = 1e-12F;

constexpr std::array<int, kGateTables> FirstGates() {
  std::array<int, kGateTables> first{};
  for (size_t table = 1; table < kGateTables; ++table) {
    first[table] = first[table - 1] + kGates[table - 1];
  }
  return first;
}

constexpr std::array<int, kGateTables> kFirstGates = FirstGates();
constexpr int kAllGates = kFirstGates.back() + kGates.back();

}  // namespace

ExpertWeights::ExpertWeights(int horizons)
    : horizons_(horizons),
      rows_(static_cast<size_t>(kAllGates * horizons)),
      seen_(static_cast<size_t>(kAllGates * horizons)) {
  for (Row& row : rows_) row.fill(1.0F / kNeedExperts);
}

size_t ExpertWeights::At(size_t table, int gate, int horizon) const {
  return static_cast<size_t>((kFirstGates[table] + gate) * horizons_ + horizon);
}

ExpertWeights::Row ExpertWeights::Of(const Gates& gates, int horizon) const {
  Row mean{};
  for (size_t table = 0; table < kGateTables; ++table) {
    const Row& row = rows_[At(table, gates[table], horizon)];
    for (size_t expert = 0; expert < kNeedExperts; ++expert) {
      mean[expert] += row[expert] / kGateTables;
    }
  }
  return mean;
}

void ExpertWeights::Learn(const Gates& gates, int horizon, const Row& likelihood) {
  Row bounded;
  for (size_t expert = 0; expert < kNeedExperts; ++expert) {
    bounded[expert] = std::max(likelihood[expert], kLikelihoodMin);
  }
  for (size_t table = 0; table < kGateTables; ++table) {
    const size_t at = At(table, gates[table], horizon);
    Row& row = rows_[at];
    const float rate = std::max(kRateMin, 1 / (seen_[at] + kFirstSamples));
    seen_[at] = std::min(seen_[at] + 1, kSeenMax);
    Row share;
    float sum = 0;
    for (size_t expert = 0; expert < kNeedExperts; ++expert) {
      share[expert] = row[expert] * bounded[expert];
      sum += share[expert];
    }
    const float to_share = rate / sum;
    float total = 0;
    for (size_t expert = 0; expert < kNeedExperts; ++expert) {
      const float moved = row[expert] * (1 - rate) + share[expert] * to_share;
      row[expert] = std::max(moved, kWeightMin);
      total += row[expert];
    }
    const float normal = 1 / total;
    for (float& weight : row) weight *= normal;
  }
}

size_t ExpertWeights::StateBytes() const {
  return sizeof(*this) + rows_.size() * sizeof(Row) + seen_.size() * sizeof(float);
}

void ExpertWeights::Save(SavedWriter& writer) const {
  writer.All<Row>(rows_);
  writer.All<float>(seen_);
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
