#include "forecast/need/need_distribution.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace shadow {
namespace {

using LoadWeights = std::array<float, LoadScale::CellOf(ErrorHistograms::kReachMax) + 1>;

constexpr double kReachMargin = 1.25;  // Of the highest load seen.

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
      origins_(static_cast<size_t>(options.lead_steps) + 1),
      mass_(horizons_.size() * cells()) {
  for (const int horizon : horizons_) guesses_.emplace_back(static_cast<size_t>(horizon) + 1);
}

std::span<const float> NeedDistribution::Mass(size_t i) const {
  return std::span(mass_).subspan(i * cells(), cells());
}

void NeedDistribution::Observe(std::optional<double> load, std::span<const double> median) {
  if (load.has_value()) {
    const int known = QuartersOf(*load);
    Reach(known);
    Learn(known);
    signals_.Push(known);
  } else {
    signals_.PushMissing();
  }
  histograms_.Fade();
  Predict(median);
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

float NeedDistribution::Weigh(const ErrorHistograms::Place& place, int guess,
                              std::span<float> weights) const {
  std::array<float, ErrorHistograms::kBinsMax> density;
  histograms_.Density(place, density);
  const int anchor = std::min(guess, reach_);
  // Cells of one load each lie in runs that share a bin; those beyond take the bin of their middle.
  int cell = 0;
  for (int bin = histograms_.BinOf(-anchor); cell < LoadScale::kExact; ++bin) {
    const bool last = bin == histograms_.bins() - 1;
    const int end = last ? LoadScale::kExact
                         : std::min(LoadScale::kExact, anchor + histograms_.HighestIn(bin) + 1);
    std::fill(weights.begin() + cell, weights.begin() + end, density[static_cast<size_t>(bin)]);
    cell = end;
  }
  const int count = static_cast<int>(weights.size());
  for (; cell < count; ++cell) {
    const int width = LoadScale::Width(cell);
    const auto bin =
        static_cast<size_t>(histograms_.BinOf(LoadScale::Lowest(cell) + width / 2 - anchor));
    weights[static_cast<size_t>(cell)] = density[bin] * static_cast<float>(width);
  }
  float sum = 0;
  for (const float weight : weights) sum += weight;
  return sum;
}

void NeedDistribution::Learn(int load) {
  const int64_t step = signals_.count();
  for (size_t i = 0; i < horizons_.size(); ++i) {
    const int64_t made = step - horizons_[i];
    if (made < 0) continue;
    const Origin& origin = origins_[SlotOf(made, origins_.size())];
    if (!origin.guessed) continue;
    const NeedGuesses& guesses = guesses_[i][SlotOf(made, guesses_[i].size())];
    const int horizon = static_cast<int>(i);
    ExpertWeights::Row likelihood{};
    for (size_t expert = 0; expert < kNeedExperts; ++expert) {
      const ErrorHistograms::Place place = {.horizon = horizon,
                                            .expert = static_cast<int>(expert),
                                            .situation = origin.situation.of[expert]};
      const int guess = std::min(guesses[expert], reach_);
      if (made >= options_.day_steps) {
        likelihood[expert] = histograms_.Likelihood(place, load - guess, -guess, reach_ - guess);
      }
      histograms_.Add(place, load - guess);
    }
    if (made >= options_.day_steps) weights_.Learn(origin.situation.gate, horizon, likelihood);
  }
}

void NeedDistribution::Predict(std::span<const double> median) {
  const int64_t step = signals_.count();
  std::array<NeedGuesses, kHorizonsMax> guesses;
  Origin& now = origins_[SlotOf(step, origins_.size())];
  now = {.situation = signals_.Guess(median, guesses), .guessed = true};
  for (size_t i = 0; i < horizons_.size(); ++i) {
    guesses_[i][SlotOf(step, guesses_[i].size())] = guesses[i];
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

void NeedDistribution::Mix(size_t horizon, const NeedSituation& situation,
                           const NeedGuesses& guesses) {
  LoadWeights mixed;
  LoadWeights of_expert;
  const size_t loads = static_cast<size_t>(LoadScale::CellOf(reach_)) + 1;
  const std::span<float> weights = std::span(of_expert).first(loads);
  std::fill_n(mixed.begin(), loads, 0.0F);
  const ExpertWeights::Row& row = weights_.Of(situation.gate, static_cast<int>(horizon));
  for (size_t expert = 0; expert < kNeedExperts; ++expert) {
    const float sum = Weigh({.horizon = static_cast<int>(horizon),
                             .expert = static_cast<int>(expert),
                             .situation = situation.of[expert]},
                            guesses[expert], weights);
    const float share = row[expert] / sum;
    for (size_t cell = 0; cell < loads; ++cell) mixed[cell] += share * weights[cell];
  }
  const std::span<float> mass = std::span(mass_).subspan(horizon * cells(), cells());
  std::fill(mass.begin(), mass.end(), 0.0F);
  for (size_t cell = 0; cell < loads; ++cell) {
    const int need = LoadScale::Lowest(static_cast<int>(cell)) / kQuartersPerInstance;
    mass[static_cast<size_t>(NeedScale::CellOf(need))] += mixed[cell];
  }
}

size_t NeedDistribution::StateBytes() const {
  // The members count themselves in, and so twice what of them lies in here: some 200 bytes.
  size_t bytes = sizeof(*this);
  bytes += signals_.StateBytes() + histograms_.StateBytes() + weights_.StateBytes();
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
  for (const Origin& origin : origins_) {
    writer.U8(origin.guessed ? 1 : 0);
    writer.U8(origin.situation.gate);
    for (const uint8_t situation : origin.situation.of) writer.U8(situation);
  }
  for (const auto& ring : guesses_) {
    for (const NeedGuesses& guesses : ring) {
      for (const int32_t guess : guesses) writer.U32(static_cast<uint32_t>(guess));
    }
  }
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
  for (Origin& origin : origins_) {
    origin.guessed = reader.U8() != 0;
    origin.situation.gate = reader.U8();
    fits = fits && origin.situation.gate < kGates;
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
