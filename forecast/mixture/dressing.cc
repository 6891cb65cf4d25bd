#include "forecast/mixture/dressing.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace shadow {
namespace {

constexpr int kShapeSmoothPart = 16;  // Of a day, to either side.
constexpr double kPool = 1;           // Of the mean slot's weight, for the mean of all.
constexpr double kTypeDays = 4;       // Of a type, at which its own scale weighs one half.
constexpr double kGrowthMin = 0.05;   // Of the mean.
constexpr int kShapeRowsMin = 30;     // For a shape of its own.
constexpr float kScaleMin = 1e-7F;    // In units of the series' mean.

// Sums over the slots within `reach`, around the clock.
std::vector<double> SmoothSums(const std::vector<double>& values, int reach) {
  const int day = static_cast<int>(values.size());
  std::vector<double> sums(values.size());
  const auto at = [&](int slot) { return values[static_cast<size_t>(((slot % day) + day) % day)]; };
  double sum = 0;
  for (int slot = -reach; slot <= reach; ++slot) sum += at(slot);
  for (int slot = 0; slot < day; ++slot) {
    sums[static_cast<size_t>(slot)] = sum;
    sum += at(slot + reach + 1) - at(slot - reach);
  }
  return sums;
}

struct SlotSums {
  std::vector<double> error;
  std::vector<double> weight;
};

std::vector<float> MeanBySlot(const SlotSums& sums) {
  const int day = static_cast<int>(sums.weight.size());
  const int reach = std::max(1, day / kShapeSmoothPart);
  const std::vector<double> error = SmoothSums(sums.error, reach);
  const std::vector<double> weight = SmoothSums(sums.weight, reach);
  double error_sum = 0;
  double weight_sum = 0;
  for (size_t i = 0; i < error.size(); ++i) {
    error_sum += error[i];
    weight_sum += weight[i];
  }
  const double pool = kPool * weight_sum / day;
  const double mean = error_sum / std::max(weight_sum, 1e-9);
  std::vector<float> means(error.size());
  for (size_t i = 0; i < means.size(); ++i) {
    const double value = (std::max(error[i], 0.0) + pool * mean) / (weight[i] + pool + 1e-30);
    means[i] = static_cast<float>(value) + kScaleMin;
  }
  return means;
}

struct Weighted {
  uint32_t key;  // Rises with the value.
  float weight;
};

uint32_t KeyOf(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return bits ^ ((bits >> 31) != 0 ? 0xFFFFFFFFU : 0x80000000U);
}

float ValueOf(uint32_t key) {
  return std::bit_cast<float>(key ^ ((key >> 31) != 0 ? 0x80000000U : 0xFFFFFFFFU));
}

// Rising by value: a radix sort, three passes of 11 bits. This is what a fit does most.
std::vector<Weighted> Sorted(const Eigen::Ref<const Eigen::VectorXf>& values,
                             const Eigen::Ref<const Eigen::VectorXf>& weights) {
  constexpr uint32_t kBits = 11;
  constexpr uint32_t kDigits = 1U << kBits;
  const auto size = static_cast<size_t>(values.size());
  std::vector<Weighted> from(size);
  std::vector<Weighted> to(size);
  std::array<std::array<uint32_t, kDigits>, 3> begin{};
  for (size_t i = 0; i < size; ++i) {
    const auto at = static_cast<Eigen::Index>(i);
    from[i] = {.key = KeyOf(values[at]), .weight = weights[at]};
    for (uint32_t pass = 0; pass < 3; ++pass) {
      ++begin[pass][(from[i].key >> (pass * kBits)) % kDigits];
    }
  }
  for (uint32_t pass = 0; pass < 3; ++pass) {
    uint32_t sum = 0;
    for (uint32_t& count : begin[pass]) sum += std::exchange(count, sum);
    for (const Weighted& item : from) {
      to[begin[pass][(item.key >> (pass * kBits)) % kDigits]++] = item;
    }
    std::swap(from, to);
  }
  return from;
}

}  // namespace

LevelArray WeightedQuantiles(const Eigen::Ref<const Eigen::VectorXf>& values,
                             const Eigen::Ref<const Eigen::VectorXf>& weights) {
  const std::vector<Weighted> sorted = Sorted(values, weights);
  const double total = weights.cast<double>().sum();
  LevelArray quantiles{};
  size_t level = 0;
  double sum = 0;
  double position_before = 0;
  float value_before = ValueOf(sorted.front().key);
  for (const auto& [key, weight] : sorted) {
    const float value = ValueOf(key);
    sum += weight;
    const double position = (sum - 0.5 * weight) / total;
    while (level < kLevels.size() && kLevels[level] <= position) {
      const double width = position - position_before;
      const double share = width > 0 ? (kLevels[level] - position_before) / width : 1;
      quantiles[level++] = value_before + static_cast<float>(share) * (value - value_before);
    }
    position_before = position;
    value_before = value;
  }
  while (level < kLevels.size()) quantiles[level++] = value_before;
  return quantiles;
}

LeadKnots::LeadKnots(int horizon) {
  for (size_t i = 0; i < kMax; ++i) {
    const double share = static_cast<double>(i) / (kMax - 1);
    const int lead = static_cast<int>(std::lround(std::pow(horizon, share)));
    if (leads_.empty() || lead > leads_.back()) leads_.push_back(lead);
  }
  places_.assign(static_cast<size_t>(horizon) + 1, 0);
  for (size_t i = 1; i < leads_.size(); ++i) {
    const double width = std::log(static_cast<double>(leads_[i]) / leads_[i - 1]);
    for (int lead = leads_[i - 1] + 1; lead <= leads_[i]; ++lead) {
      const double share = std::log(static_cast<double>(lead) / leads_[i - 1]) / width;
      places_[static_cast<size_t>(lead)] = static_cast<float>(static_cast<double>(i - 1) + share);
    }
  }
}

int64_t LeadKnots::Bytes() const {
  return static_cast<int64_t>(sizeof(int) * leads_.size() + sizeof(float) * places_.size());
}

void Dressing::Save(SavedWriter& writer) const {
  for (const auto& scale : scale_) {
    for (const float value : scale) writer.F32(value);
  }
  for (const float value : growth_) writer.F32(value);
  for (const LevelArray& shape : shape_) {
    for (const float value : shape) writer.F32(value);
  }
}

std::optional<Dressing> Dressing::Load(SavedReader& reader, int day) {
  Dressing loaded;
  bool finite = true;
  const auto take = [&](auto& values) {
    for (float& value : values) {
      value = reader.F32();
      finite &= std::isfinite(value);
    }
  };
  for (auto& scale : loaded.scale_) {
    scale.resize(static_cast<size_t>(day));
    take(scale);
  }
  take(loaded.growth_);
  for (LevelArray& shape : loaded.shape_) take(shape);
  if (!reader.ok() || !finite) return std::nullopt;
  return loaded;
}

Dressing::Dressing(const BackTest& test, const LeadKnots& knots, const Eigen::VectorXf& residual) {
  LearnScale(test, residual);
  Eigen::VectorXf relative(test.rows());
  for (int row = 0; row < test.rows(); ++row) {
    const auto at = static_cast<size_t>(row);
    relative[row] = residual[row] /
                    scale_[static_cast<size_t>(test.type[at])][static_cast<size_t>(test.slot[at])];
  }
  LearnGrowth(test, knots.leads(), relative);
  for (int row = 0; row < test.rows(); ++row) {
    relative[row] /= Growth(knots.PlaceOf(test.lead[static_cast<size_t>(row)]));
  }
  LearnShape(test, relative);
}

void Dressing::LearnScale(const BackTest& test, const Eigen::VectorXf& residual) {
  const auto day = static_cast<size_t>(test.day);
  std::array<SlotSums, 3> sums;  // Of both types, and of all.
  for (auto& of : sums) {
    of.error.assign(day, 0);
    of.weight.assign(day, 0);
  }
  std::array<double, 2> weight{};
  for (int row = 0; row < test.rows(); ++row) {
    const auto slot = static_cast<size_t>(test.slot[static_cast<size_t>(row)]);
    const auto type = static_cast<size_t>(test.type[static_cast<size_t>(row)]);
    const double w = test.weight[row];
    sums[type].error[slot] += w * std::abs(residual[row]);
    sums[type].weight[slot] += w;
    weight[type] += w;
  }
  for (size_t slot = 0; slot < day; ++slot) {
    sums[2].error[slot] = sums[0].error[slot] + sums[1].error[slot];
    sums[2].weight[slot] = sums[0].weight[slot] + sums[1].weight[slot];
  }
  const std::vector<float> all = MeanBySlot(sums[2]);
  for (size_t type = 0; type < 2; ++type) {
    scale_[type] = all;
    const double days = weight[type] / (weight[0] + weight[1]) * test.days;
    if (weight[0] == 0 || weight[1] == 0) continue;
    const auto share = static_cast<float>(days / (days + kTypeDays));
    const std::vector<float> own = MeanBySlot(sums[type]);
    for (size_t slot = 0; slot < day; ++slot) {
      scale_[type][slot] += share * (own[slot] - scale_[type][slot]);
    }
  }
}

void Dressing::LearnGrowth(const BackTest& test, const std::vector<int>& knots,
                           const Eigen::VectorXf& relative) {
  std::vector<double> error(static_cast<size_t>(test.horizon) + 1);
  std::vector<double> weight(error.size());
  for (int row = 0; row < test.rows(); ++row) {
    const auto lead = static_cast<size_t>(test.lead[static_cast<size_t>(row)]);
    error[lead] += static_cast<double>(test.weight[row]) * std::abs(relative[row]);
    weight[lead] += test.weight[row];
  }
  double error_sum = 0;
  double weight_sum = 0;
  for (size_t i = 0; i < error.size(); ++i) {
    error_sum += error[i];
    weight_sum += weight[i];
  }
  const double mean = error_sum / std::max(weight_sum, 1e-30) + 1e-12;
  std::vector<double> at_knot;
  for (size_t i = 0; i < knots.size(); ++i) {
    const int from = i > 0 ? knots[i - 1] + 1 : 1;
    const int to = i == 0 ? std::max(1, knots.size() > 1 ? knots[1] - 1 : 1)
                          : (i + 1 < knots.size() ? knots[i + 1] - 1 : test.horizon);
    double sum = 0;
    double sum_weight = 0;
    for (int lead = from; lead <= to; ++lead) {
      sum += error[static_cast<size_t>(lead)];
      sum_weight += weight[static_cast<size_t>(lead)];
    }
    const double value = sum_weight > 0 ? sum / sum_weight : mean;
    at_knot.push_back(std::max(value, kGrowthMin * mean) / mean);
    if (i > 0) at_knot[i] = std::max(at_knot[i], at_knot[i - 1]);
  }
  growth_.fill(static_cast<float>(at_knot.back()));
  for (size_t i = 0; i < at_knot.size(); ++i) growth_[i] = static_cast<float>(at_knot[i]);
}

void Dressing::LearnShape(const BackTest& test, const Eigen::VectorXf& relative) {
  for (size_t b = 0; b < kBuckets; ++b) {
    if (test.rows(b) == 0 && b > 0) {
      shape_[b] = shape_[b - 1];
    } else if (test.rows(b) < kShapeRowsMin) {
      shape_[b] = WeightedQuantiles(relative, test.weight);
    } else {
      const auto own = relative.segment(test.begin[b], test.rows(b));
      const auto part = [&](const Eigen::VectorXf& of) {
        return of.segment(test.begin[b], test.rows(b));
      };
      shape_[b] = WeightedQuantiles(own, part(test.weight));
      const float centre = WeightedQuantiles(own, part(test.centre_weight))[kMedian];
      for (size_t i = 0; i < kMedian; ++i) shape_[b][i] = std::min(shape_[b][i], centre);
      shape_[b][kMedian] = centre;
      for (size_t i = kMedian + 1; i < kLevels.size(); ++i) {
        shape_[b][i] = std::max(shape_[b][i], centre);
      }
    }
  }
}

int64_t Dressing::Bytes() const {
  return static_cast<int64_t>(sizeof(*this) + sizeof(float) * 2 * scale_[0].size());
}

}  // namespace shadow
