// How much each expert counts, learnt online.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "forecast/need/need_signals.h"
#include "forecast/saved_bytes.h"

namespace shadow {

// Tables of weights; in each, by gate and horizon, weights over the experts that sum to 1. Each
// table learns as though it were the only one. Not thread-safe.
class ExpertWeights {
 public:
  explicit ExpertWeights(int horizons);

  using Row = std::array<float, kNeedExperts>;
  using Gates = std::array<uint8_t, kGateTables>;

  // The mean of the tables.
  Row Of(const Gates& gates, int horizon) const;

  // One step of online expectation maximisation; `likelihood`: what each expert gave to the need
  // that came. w += rate (q - w), q = w x likelihood, normalised; e.g. w = (.5, .5), likelihood
  // (.3, .1), rate .1 -> (.525, .475). Source: O. Cappe, E. Moulines, On-line
  // expectation-maximization algorithm for latent data models, J. R. Stat. Soc. B 71 (2009).
  void Learn(const Gates& gates, int horizon, const Row& likelihood);

  size_t StateBytes() const;
  void Save(SavedWriter& writer) const;
  // False: not from Save of the same horizons; this is in no usable state then.
  bool Restore(SavedReader& reader);

 private:
  size_t At(size_t table, int gate, int horizon) const;

  int horizons_;
  std::vector<Row> rows_;
  std::vector<float> seen_;  // By row: how often it has learnt, up to kSeenMax.
};

}  // namespace shadow
