#include "forecast/need/need_distribution.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace shadow {
namespace {

constexpr double kReachMargin = 1.25;  // Of the highest load seen or forecast.

// A rise that the forecast is held to. Weights follow what is frequent; a rise that comes once a
// week is not, but whether the forecast has been right on such rises is known.
constexpr int kRise = 3 * kQuartersPerInstance;
constexpr float kReliabilityFading = 0.98F;  // For each rise.
constexpr float kReliabilityShare = 0.9F;    // Of the weight.
constexpr float kSaidMax = 1.01F / (1 - kReliabilityFading);

constexpr auto kForecastAt = static_cast<size_t>(NeedExpert::kForecast);
constexpr auto kLevelAt = static_cast<size_t>(NeedExpert::kLevel);

bool SaysRise(const NeedGuesses& guesses) {
  return guesses[kForecastAt] - guesses[kLevelAt] >= kRise;
}

// The highest load of each cell of needs, quarters.
constexpr std::array<int, NeedDistribution::kCellsMax> HighestLoads() {
  std::array<int, NeedDistribution::kCellsMax> highest{};
  for (int cell = 0; cell < NeedDistribution::kCellsMax; ++cell) {
    highest[static_cast<size_t>(cell)] =
        NeedScale::Highest(cell) * kQuartersPerInstance + kQuartersPerInstance - 1;
  }
  return highest;
}
constexpr std::array<int, NeedDistribution::kCellsMax> kHighestLoads = HighestLoads();

std::vector<int> HorizonsOf(int lead_steps) {
  std::vector<int> horizons;
  if (lead_steps < NeedDistribution::kHorizonsMax) {
    for (int step = 0; step <= lead_steps; ++step) horizons.push_back(step);
    return horizons;
  }
  constexpr double kCurve = 1.5;
  constexpr int kLast = NeedDistribution::kHorizonsMax - 1;
  for (int i = 0; i <= kLast; ++i) {
    const double share = std::pow(static_cast<double>(i) / kLast, kCurve);
    horizons.push_back(static_cast<int>(std::lround(share * lead_steps)));
  }
  return horizons;
}

size_t SlotOf(int64_t step, size_t slots) { return static_cast<size_t>(step) % slots; }

}  // namespace

NeedDistribution::NeedDistribution(const Options& options)
    : options_(options),
      horizons_(HorizonsOf(options.lead_steps)),
      signals_(horizons_, options.day_steps),
      histograms_(static_cast<int>(horizons_.size()), options.day_steps, reach_),
      weights_(static_cast<int>(horizons_.size())),
      reliability_(horizons_.size()),
      origins_(static_cast<size_t>(options.lead_steps) + 1),
      mass_(horizons_.size() * cells()) {
  for (const int horizon : horizons_) guesses_.emplace_back(static_cast<size_t>(horizon) + 1);
}

std::span<const float> NeedDistribution::Mass(size_t i) const {
  return std::span(mass_).subspan(i * cells(), cells());
}

void NeedDistribution::Observe(std::optional<double> load, const LoadForecast& forecast) {
  if (load.has_value()) {
    const int known = QuartersOf(*load);
    Reach(known);
    Learn(known);
    signals_.Push(known);
  } else {
    signals_.PushMissing();
  }
  histograms_.Fade();
  Predict(forecast);
}

void NeedDistribution::Skip() {
  signals_.PushMissing();
  histograms_.Fade();
  origins_[SlotOf(signals_.count(), origins_.size())].guessed = false;
  ready_ = false;
}

void NeedDistribution::Reach(int load) {
  int reach = reach_;
  while (load * kReachMargin > reach && reach < ErrorHistograms::kReachMax) reach = 2 * reach + 1;
  if (reach == reach_) return;
  reach_ = reach;
  histograms_.Grow(reach);
  mass_.assign(horizons_.size() * cells(), 0);
  ready_ = false;
}

void NeedDistribution::Learn(int load) {
  const int64_t step = signals_.count();
  ErrorHistograms::Density density;
  for (size_t i = 0; i < horizons_.size(); ++i) {
    const int64_t made = step - horizons_[i];
    if (made < 0) continue;
    const Origin& origin = origins_[SlotOf(made, origins_.size())];
    if (!origin.guessed) continue;
    const NeedGuesses& guesses = guesses_[i][SlotOf(made, guesses_[i].size())];
    const int horizon = static_cast<int>(i);
    histograms_.Fetch(horizon, origin.situation.of);
    ExpertWeights::Row likelihood{};
    for (size_t expert = 0; expert < kNeedExperts; ++expert) {
      const ErrorHistograms::Place place = {.horizon = horizon,
                                            .expert = static_cast<int>(expert),
                                            .situation = origin.situation.of[expert]};
      const int guess = std::min(guesses[expert], reach_);
      if (made >= options_.day_steps) {
        histograms_.Read(place, guess, density);
        const auto bin = static_cast<size_t>(histograms_.BinOf(load - guess));
        likelihood[expert] = density.of_each[bin] / density.sum;
      }
      histograms_.Add(place, load - guess);
    }
    if (made >= options_.day_steps) weights_.Learn(origin.situation.gates, horizon, likelihood);
    if (SaysRise(guesses)) {
      const int rise = guesses[kForecastAt] - guesses[kLevelAt];
      Reliability& reliability = reliability_[i];
      reliability.said = kReliabilityFading * reliability.said + 1;
      reliability.came = kReliabilityFading * reliability.came +
                         (2 * (load - guesses[kLevelAt]) >= rise ? 1.0F : 0.0F);
    }
  }
}

void NeedDistribution::Predict(const LoadForecast& forecast) {
  const int64_t step = signals_.count();
  std::array<NeedGuesses, kHorizonsMax> guesses;
  Origin& now = origins_[SlotOf(step, origins_.size())];
  now = {.situation = signals_.Guess(forecast, guesses), .guessed = true};
  for (size_t i = 0; i < horizons_.size(); ++i) {
    guesses_[i][SlotOf(step, guesses_[i].size())] = guesses[i];
  }
  // What is announced may be more than was ever seen.
  const size_t known = std::min(forecast.median.size(), origins_.size());
  for (const double median : forecast.median.first(known)) {
    if (std::isfinite(median)) Reach(QuartersOf(median));
  }
  ready_ = step >= options_.day_steps;
  if (ready_) MixAll();
}

void NeedDistribution::MixAll() {
  const int64_t step = signals_.count();
  const NeedSituation& situation = origins_[SlotOf(step, origins_.size())].situation;
  for (size_t i = 0; i < horizons_.size(); ++i) {
    Mix(i, situation, guesses_[i][SlotOf(step, guesses_[i].size())]);
  }
}

ExpertWeights::Row NeedDistribution::WeightsAt(size_t horizon, const NeedSituation& situation,
                                               const NeedGuesses& guesses) const {
  ExpertWeights::Row row = weights_.Of(situation.gates, static_cast<int>(horizon));
  if (!SaysRise(guesses)) return row;
  const Reliability& reliability = reliability_[horizon];
  const float least = kReliabilityShare * (reliability.came + 0.5F) / (reliability.said + 1);
  const float own = row[kForecastAt];
  if (own >= least) return row;
  for (float& weight : row) weight *= (1 - least) / (1 - own);
  row[kForecastAt] = least;
  return row;
}

void NeedDistribution::Mix(size_t horizon, const NeedSituation& situation,
                           const NeedGuesses& guesses) {
  std::array<double, kCellsMax> below{};  // P(need in this cell or a lower one).
  const size_t count = cells();
  histograms_.Fetch(static_cast<int>(horizon), situation.of);
  const ExpertWeights::Row row = WeightsAt(horizon, situation, guesses);
  ErrorHistograms::Density density;
  for (size_t expert = 0; expert < kNeedExperts; ++expert) {
    const int guess = std::min(guesses[expert], reach_);
    histograms_.Read({.horizon = static_cast<int>(horizon),
                      .expert = static_cast<int>(expert),
                      .situation = situation.of[expert]},
                     guess, density);
    const double share = row[expert] / density.sum;
    double before = 0;  // P of the bins before.
    int begin = 0;      // Of this one, in load.
    size_t cell = 0;
    for (int bin = density.first; bin <= density.last; ++bin) {
      const double each = share * density.of_each[static_cast<size_t>(bin)];
      const int end = bin == density.last ? reach_ + 1 : guess + histograms_.HighestIn(bin) + 1;
      for (; cell < count && kHighestLoads[cell] < end; ++cell) {
        below[cell] += before + each * (kHighestLoads[cell] - begin + 1);
      }
      before += each * (end - begin);
      begin = end;
    }
  }
  const std::span<float> mass = std::span(mass_).subspan(horizon * count, count);
  double before = 0;
  for (size_t cell = 0; cell < count; ++cell) {
    mass[cell] = static_cast<float>(below[cell] - before);
    before = below[cell];
  }
}

size_t NeedDistribution::StateBytes() const {
  // The members count themselves in, and so twice what of them lies in here: some 200 bytes.
  size_t bytes = sizeof(*this);
  bytes += signals_.StateBytes() + histograms_.StateBytes() + weights_.StateBytes();
  bytes += reliability_.size() * sizeof(Reliability);
  bytes += origins_.size() * sizeof(Origin) + horizons_.size() * sizeof(int);
  for (const auto& ring : guesses_) {
    bytes += sizeof(std::vector<NeedGuesses>) + ring.size() * sizeof(NeedGuesses);
  }
  return bytes + mass_.size() * sizeof(float);
}

void NeedDistribution::Save(SavedWriter& writer) const {
  writer.U32(static_cast<uint32_t>(reach_));
  writer.U8(ready_ ? 1 : 0);
  signals_.Save(writer);
  histograms_.Save(writer);
  weights_.Save(writer);
  for (const Reliability& reliability : reliability_) {
    writer.F32(reliability.said);
    writer.F32(reliability.came);
  }
  for (const Origin& origin : origins_) {
    writer.U8(origin.guessed ? 1 : 0);
    for (const uint8_t gate : origin.situation.gates) writer.U8(gate);
    for (const uint8_t situation : origin.situation.of) writer.U8(situation);
  }
  for (const auto& ring : guesses_) writer.All<NeedGuesses>(ring);
}

bool NeedDistribution::Restore(SavedReader& reader) {
  const uint32_t reach = reader.U32();
  if (reach < kReachMin || reach > ErrorHistograms::kReachMax || (reach & (reach + 1)) != 0) {
    return false;
  }
  reach_ = static_cast<int>(reach);
  histograms_ = ErrorHistograms(static_cast<int>(horizons_.size()), options_.day_steps, reach_);
  mass_.assign(horizons_.size() * cells(), 0);
  ready_ = reader.U8() != 0;
  bool fits = signals_.Restore(reader) && histograms_.Restore(reader) && weights_.Restore(reader);
  for (Reliability& reliability : reliability_) {
    reliability.said = reader.F32();
    reliability.came = reader.F32();
    fits = fits && reliability.came >= 0 && reliability.came <= reliability.said;
    fits = fits && reliability.said <= kSaidMax;
  }
  for (Origin& origin : origins_) {
    origin.guessed = reader.U8() != 0;
    for (size_t table = 0; table < kGateTables; ++table) {
      origin.situation.gates[table] = reader.U8();
      fits = fits && origin.situation.gates[table] < kGates[table];
    }
    for (size_t expert = 0; expert < kNeedExperts; ++expert) {
      origin.situation.of[expert] = reader.U8();
      fits = fits && origin.situation.of[expert] < kSituations[expert];
    }
  }
  for (auto& ring : guesses_) {
    for (NeedGuesses& guesses : ring) {
      for (int32_t& guess : guesses) {
        const uint32_t saved = reader.U32();
        fits = fits && saved <= kQuartersMax;
        guess = static_cast<int32_t>(saved);
      }
    }
  }
  fits = fits && reader.ok();
  if (fits && ready_) MixAll();
  return fits;
}

}  // namespace shadow
