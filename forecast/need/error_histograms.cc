#include "forecast/need/error_histograms.h"

#include <Eigen/Core>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace shadow {
namespace {

using Lanes = Eigen::Map<const Eigen::ArrayXf>;

constexpr double kHalfLifeDays = 10;
constexpr float kBackingSamples = 2;  // What all situations together count for in one of them.
constexpr float kPriorSamples = 2;
constexpr float kWeightMax = 1e9F;    // More than fading leaves of a sum of samples.
constexpr int kSpreadFrom = 4;        // Errors from here on are shared with the bins beside theirs.
constexpr float kSpreadShare = 0.2F;  // To each side.

constexpr std::array<int, kNeedExperts> FirstSituations() {
  std::array<int, kNeedExperts> first{};
  for (size_t expert = 1; expert < kNeedExperts; ++expert) {
    first[expert] = first[expert - 1] + kSituations[expert - 1];
  }
  return first;
}

constexpr std::array<int, kNeedExperts> kFirstSituations = FirstSituations();
constexpr int kAllSituations = kFirstSituations.back() + kSituations.back();

int SideOf(int reach) { return ErrorScale::CellOf(reach) + 1; }

float GrowthOf(double half_life_days, int day_steps) {
  return static_cast<float>(std::exp2(1 / (half_life_days * day_steps)));
}

// Puts each row of `old_bins` in the middle of one of `new_bins`.
template <typename Cell>
void Widen(std::vector<Cell>& cells, int old_bins, int new_bins) {
  const size_t rows = cells.size() / static_cast<size_t>(old_bins);
  const int margin = (new_bins - old_bins) / 2;
  std::vector<Cell> wide(rows * static_cast<size_t>(new_bins));
  for (size_t row = 0; row < rows; ++row) {
    std::copy_n(cells.begin() + static_cast<ptrdiff_t>(row) * old_bins, old_bins,
                wide.begin() + static_cast<ptrdiff_t>(row) * new_bins + margin);
  }
  cells = std::move(wide);
}

}  // namespace

ErrorHistograms::ErrorHistograms(int horizons, int day_steps, int reach)
    : horizons_(horizons),
      reach_(reach),
      side_(SideOf(reach)),
      growth_(GrowthOf(kHalfLifeDays, day_steps)) {
  seen_.resize(static_cast<size_t>(horizons_ * kAllSituations * bins()));
  all_.resize(static_cast<size_t>(horizons_ * kNeedExperts * bins()));
  total_.resize(static_cast<size_t>(horizons_ * kNeedExperts));
  SetPrior();
}

// 1 / (1 + |error|)^2, kPriorSamples in all.
void ErrorHistograms::SetPrior() {
  prior_.resize(static_cast<size_t>(bins()));
  width_.resize(static_cast<size_t>(bins()));
  float sum = 0;
  for (int bin = 0; bin < bins(); ++bin) {
    const int cell = std::abs(bin - center());
    const auto width = static_cast<float>(ErrorScale::Width(cell));
    const float middle = static_cast<float>(ErrorScale::Lowest(cell)) + (width - 1) / 2;
    const float density = 1 / ((1 + middle) * (1 + middle));
    prior_[static_cast<size_t>(bin)] = density;
    width_[static_cast<size_t>(bin)] = width;
    sum += density * width;
  }
  for (float& density : prior_) density *= kPriorSamples / sum;
}

size_t ErrorHistograms::SeenAt(const Place& place) const {
  const int first = kFirstSituations[static_cast<size_t>(place.expert)];
  return static_cast<size_t>((place.horizon * kAllSituations + first + place.situation) * bins());
}

size_t ErrorHistograms::AllAt(const Place& place) const {
  return static_cast<size_t>((place.horizon * kNeedExperts + place.expert) * bins());
}

void ErrorHistograms::Add(const Place& place, int error) {
  const size_t seen = SeenAt(place);
  const size_t all = AllAt(place);
  const auto add = [&](int bin, float share) {
    const auto at = static_cast<size_t>(std::clamp(bin, 0, bins() - 1));
    seen_[seen + at] = SmallFloat(seen_[seen + at].value() + weight_ * share);
    all_[all + at] += weight_ * share;
  };
  total_[all / static_cast<size_t>(bins())] += weight_;
  const int bin = BinOf(error);
  if (std::abs(error) < kSpreadFrom) {
    add(bin, 1);
    return;
  }
  add(bin, 1 - 2 * kSpreadShare);
  add(bin - 1, kSpreadShare);
  add(bin + 1, kSpreadShare);
}

void ErrorHistograms::Fade() {
  weight_ *= growth_;
  if (weight_ >= 2) Halve();
}

void ErrorHistograms::Halve() {
  weight_ /= 2;
  for (SmallFloat& weight : seen_) weight = SmallFloat(weight.value() / 2);
  for (float& weight : all_) weight /= 2;
  for (float& weight : total_) weight /= 2;
}

void ErrorHistograms::Read(const Place& place, int guess, Density& density) const {
  const SmallFloat* seen = &seen_[SeenAt(place)];
  const size_t all_at = AllAt(place);
  const float* all = &all_[all_at];
  const float sample = 1 / weight_;
  const float total = total_[all_at / static_cast<size_t>(bins())];
  const float backing = kBackingSamples / (total * sample + kPriorSamples);
  const auto first = static_cast<size_t>(density.first = BinOf(-guess));
  const auto last = static_cast<size_t>(density.last = BinOf(reach_ - guess));
  float* of_each = density.of_each.data();
  const float backed_sample = backing * sample;
  for (size_t bin = first; bin <= last; ++bin) {
    of_each[bin] = (seen[bin].value() * sample + all[bin] * backed_sample) / width_[bin] +
                   backing * prior_[bin];
  }
  if (first == last) {
    density.sum = of_each[first] * static_cast<float>(reach_ + 1);
    return;
  }
  // The outer bins may hold errors that cannot be.
  const auto inner = static_cast<Eigen::Index>(last - first) - 1;
  density.sum = of_each[first] * static_cast<float>(HighestIn(density.first) + guess + 1) +
                of_each[last] * static_cast<float>(reach_ - guess - HighestIn(density.last - 1)) +
                (Lanes(of_each + first + 1, inner) * Lanes(&width_[first + 1], inner)).sum();
}

void ErrorHistograms::Fetch(int horizon,
                            const std::array<uint8_t, kNeedExperts>& situations) const {
  constexpr int kLineBytes = 64;
  for (int expert = 0; expert < kNeedExperts; ++expert) {
    const Place place = {
        .horizon = horizon, .expert = expert, .situation = situations[static_cast<size_t>(expert)]};
    const SmallFloat* seen = &seen_[SeenAt(place)];
    const float* all = &all_[AllAt(place)];
    constexpr int kSeenALine = kLineBytes / sizeof(SmallFloat);
    constexpr int kAllALine = kLineBytes / sizeof(float);
    for (int bin = 0; bin < bins(); bin += kSeenALine) __builtin_prefetch(seen + bin);
    for (int bin = 0; bin < bins(); bin += kAllALine) __builtin_prefetch(all + bin);
  }
}

void ErrorHistograms::Grow(int reach) {
  const int old_bins = bins();
  if (SideOf(reach) <= side_) return;
  reach_ = reach;
  side_ = SideOf(reach);
  Widen(seen_, old_bins, bins());
  Widen(all_, old_bins, bins());
  SetPrior();
}

size_t ErrorHistograms::StateBytes() const {
  const size_t floats = all_.size() + total_.size() + prior_.size() + width_.size();
  return sizeof(*this) + seen_.size() * sizeof(SmallFloat) + floats * sizeof(float);
}

void ErrorHistograms::Save(SavedWriter& writer) const {
  writer.F32(weight_);
  writer.All<float>(total_);
  writer.All<float>(all_);
  static_assert(sizeof(SmallFloat) == sizeof(uint16_t));  // Its bits.
  writer.All<SmallFloat>(seen_);
}

bool ErrorHistograms::Restore(SavedReader& reader) {
  weight_ = reader.F32();
  bool fits = weight_ >= 1 && weight_ < 2;
  for (auto* weights : {&total_, &all_}) {
    for (float& weight : *weights) {
      weight = reader.F32();
      fits = fits && weight >= 0 && weight <= kWeightMax;
    }
  }
  for (SmallFloat& weight : seen_) weight = SmallFloat::FromBits(reader.U16());
  return fits && reader.ok();
}

}  // namespace shadow
