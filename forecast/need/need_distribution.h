// The predictive distribution of need: how likely it is that so many instances are needed, for the
// steps of a lead.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "forecast/need/error_histograms.h"
#include "forecast/need/expert_weights.h"
#include "forecast/need/load.h"
#include "forecast/need/need_signals.h"
#include "forecast/need/semi_log_scale.h"
#include "forecast/saved_bytes.h"

namespace shadow {

// A mixture of experts, each a point guess with the histogram of its errors; README.md has the
// formulas. One pass, the same work for every step. Need is told apart on NeedScale, exactly below
// 64 instances. Not thread-safe. No thread, clock, log or I/O inside.
class NeedDistribution {
 public:
  struct Options {
    int lead_steps = 1;   // 0 to kLeadStepsMax.
    int day_steps = 288;  // 1 to 86400.
  };
  static constexpr int kLeadStepsMax = 120;
  static constexpr int kHorizonsMax = 5;
  static constexpr int kCellsMax =
      NeedScale::CellOf(ErrorHistograms::kReachMax / kQuartersPerInstance) + 1;

  explicit NeedDistribution(const Options& options);

  // The steps that distributions are made for, counted from the next one; ascending, from 0 to the
  // lead: all of them, or kHorizonsMax of a longer lead, closer where they are nearer.
  const std::vector<int>& horizons() const { return horizons_; }

  // The load of the next step, at least 0, in instances, and what the forecast says of those after
  // it. Unset: missing; nothing is learnt from it.
  void Observe(std::optional<double> load, const LoadForecast& forecast);

  // A missing step after which no distribution is wanted: cheap.
  void Skip();

  // False for the first day, and after Skip: there is no distribution then.
  bool ready() const { return ready_; }

  // P(need in cell) at horizons()[i], by cell of NeedScale; they sum to 1.
  std::span<const float> Mass(size_t i) const;

  int64_t steps() const { return signals_.count(); }  // Seen, missing ones too.
  // The last need that is known; 0: none.
  int last() const { return signals_.last() / kQuartersPerInstance; }

  size_t StateBytes() const;

  // All but the distributions themselves, which Restore makes again.
  void Save(SavedWriter& writer) const;
  // False: not from Save of the same options; this is in no usable state then.
  bool Restore(SavedReader& reader);

 private:
  // Guesses are kept until the need that they were made for is known.
  struct Origin {
    NeedSituation situation;
    bool guessed = false;
  };
  // How often the forecast has said that load will rise a lot, and how often it did; both faded.
  struct Reliability {
    float said = 0;
    float came = 0;
  };
  static constexpr int kReachMin = 63;

  void Reach(int load);
  void Learn(int load);
  void Predict(const LoadForecast& forecast);
  void MixAll();  // From the guesses of this step.
  // The mixture at one horizon, into its mass.
  void Mix(size_t horizon, const NeedSituation& situation, const NeedGuesses& guesses);
  // The experts' weights; the forecast's is no less than its reliability deserves.
  ExpertWeights::Row WeightsAt(size_t horizon, const NeedSituation& situation,
                               const NeedGuesses& guesses) const;
  size_t cells() const {
    return static_cast<size_t>(NeedScale::CellOf(reach_ / kQuartersPerInstance)) + 1;
  }

  Options options_;
  std::vector<int> horizons_;
  int reach_ = kReachMin;  // Loads up to here, in quarters, have a probability.
  NeedSignals signals_;
  ErrorHistograms histograms_;
  ExpertWeights weights_;
  std::vector<Reliability> reliability_;           // By horizon.
  std::vector<Origin> origins_;                    // Ring by step that guesses were made before.
  std::vector<std::vector<NeedGuesses>> guesses_;  // By horizon: a ring as origins_, but shorter.
  std::vector<float> mass_;                        // [horizon][cell]
  bool ready_ = false;
};

}  // namespace shadow
