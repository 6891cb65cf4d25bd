#include "forecast/need/error_histograms.h"

#include <cmath>
#include <cstdlib>
#include <utility>

namespace shadow {
namespace {

constexpr double kHalfLifeDays = 10;
constexpr double kMarginalHalfLifeDays = 1;
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
    : horizons_(horizons), side_(SideOf(reach)) {
  weight_.fill(1);
  growth_.fill(GrowthOf(kHalfLifeDays, day_steps));
  growth_[static_cast<size_t>(NeedExpert::kMarginal)] = GrowthOf(kMarginalHalfLifeDays, day_steps);
  seen_.resize(static_cast<size_t>(horizons_ * kAllSituations * bins()));
  all_.resize(static_cast<size_t>(horizons_ * kNeedExperts * bins()));
  SetPrior();
}

// 1 / (1 + |error|)^2, kPriorSamples in all.
void ErrorHistograms::SetPrior() {
  prior_.resize(static_cast<size_t>(bins()));
  float sum = 0;
  for (int bin = 0; bin < bins(); ++bin) {
    const int cell = std::abs(bin - center());
    const auto width = static_cast<float>(ErrorScale::Width(cell));
    const float middle = static_cast<float>(ErrorScale::Lowest(cell)) + (width - 1) / 2;
    const float density = 1 / ((1 + middle) * (1 + middle));
    prior_[static_cast<size_t>(bin)] = density;
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
  const float weight = weight_[static_cast<size_t>(place.expert)];
  const auto add = [&](int bin, float share) {
    const auto at = static_cast<size_t>(std::clamp(bin, 0, bins() - 1));
    seen_[seen + at] = SmallFloat(seen_[seen + at].value() + weight * share);
    all_[all + at] += weight * share;
  };
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
  for (size_t expert = 0; expert < kNeedExperts; ++expert) {
    weight_[expert] *= growth_[expert];
    if (weight_[expert] >= 2) Halve(static_cast<int>(expert));
  }
}

void ErrorHistograms::Halve(int expert) {
  weight_[static_cast<size_t>(expert)] /= 2;
  const int situations = kSituations[static_cast<size_t>(expert)];
  for (int horizon = 0; horizon < horizons_; ++horizon) {
    const Place place = {.horizon = horizon, .expert = expert, .situation = 0};
    const std::span seen =
        std::span(seen_).subspan(SeenAt(place), static_cast<size_t>(situations * bins()));
    for (SmallFloat& weight : seen) weight = SmallFloat(weight.value() / 2);
    const std::span all = std::span(all_).subspan(AllAt(place), static_cast<size_t>(bins()));
    for (float& weight : all) weight /= 2;
  }
}

void ErrorHistograms::Density(const Place& place, std::span<float> density) const {
  const size_t count = static_cast<size_t>(bins());
  const SmallFloat* seen = &seen_[SeenAt(place)];
  const float* all = &all_[AllAt(place)];
  const float sample = 1 / weight_[static_cast<size_t>(place.expert)];
  float total = 0;
  for (size_t bin = 0; bin < count; ++bin) total += all[bin];
  const float backing = kBackingSamples / (total * sample + kPriorSamples);
  for (size_t bin = 0; bin < count; ++bin) {
    const int cell = std::abs(static_cast<int>(bin) - center());
    const auto width = static_cast<float>(ErrorScale::Width(cell));
    density[bin] =
        (seen[bin].value() + backing * all[bin]) * sample / width + backing * prior_[bin];
  }
}

float ErrorHistograms::Likelihood(const Place& place, int error, int lowest, int highest) const {
  std::array<float, kBinsMax> density;
  Density(place, density);
  const int first = BinOf(lowest);
  const int last = BinOf(highest);
  float sum = 0;
  for (int bin = first, begin = lowest; bin <= last; ++bin) {
    const int end = bin == last ? highest : HighestIn(bin);
    sum += density[static_cast<size_t>(bin)] * static_cast<float>(end - begin + 1);
    begin = end + 1;
  }
  return density[static_cast<size_t>(BinOf(error))] / sum;
}

void ErrorHistograms::Grow(int reach) {
  const int old_bins = bins();
  if (SideOf(reach) <= side_) return;
  side_ = SideOf(reach);
  Widen(seen_, old_bins, bins());
  Widen(all_, old_bins, bins());
  SetPrior();
}

size_t ErrorHistograms::StateBytes() const {
  return sizeof(*this) + seen_.size() * sizeof(SmallFloat) +
         (all_.size() + prior_.size()) * sizeof(float);
}

void ErrorHistograms::Save(SavedWriter& writer) const {
  for (const float weight : weight_) writer.F32(weight);
  for (const float weight : all_) writer.F32(weight);
  for (const SmallFloat weight : seen_) writer.U16(weight.bits());
}

bool ErrorHistograms::Restore(SavedReader& reader) {
  bool fits = true;
  for (float& weight : weight_) {
    weight = reader.F32();
    fits = fits && weight >= 1 && weight < 2;
  }
  for (float& weight : all_) {
    weight = reader.F32();
    fits = fits && weight >= 0 && weight <= kWeightMax;
  }
  for (SmallFloat& weight : seen_) weight = SmallFloat::FromBits(reader.U16());
  return fits && reader.ok();
}

}  // namespace shadow
