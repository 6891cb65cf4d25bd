// How far each expert was off, in each situation and at each horizon.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "forecast/need/need_signals.h"
#include "forecast/need/semi_log_scale.h"
#include "forecast/need/small_float.h"
#include "forecast/saved_bytes.h"

namespace shadow {

// Histograms of error = load - guess, in quarters, that forget: what was seen half-lives ago weighs
// half. Errors up to `reach` are told apart, on ErrorScale; all beyond count as that. Not
// thread-safe.
class ErrorHistograms {
 public:
  // `reach`: a power of two less one, 7 to kReachMax.
  ErrorHistograms(int horizons, int day_steps, int reach);

  static constexpr int kReachMax = (1 << 19) - 1;  // More than kQuartersMax.
  static constexpr int kBinsMax = 2 * ErrorScale::CellOf(kReachMax) + 1;

  // Bins of a histogram, from error -reach to reach.
  int bins() const { return 2 * center() + 1; }
  int BinOf(int error) const {
    const int cell = std::min(ErrorScale::CellOf(error < 0 ? -error : error), center());
    return error < 0 ? center() - cell : center() + cell;
  }
  // The greatest error that falls into `bin`.
  int HighestIn(int bin) const {
    return bin < center() ? -ErrorScale::Lowest(center() - bin)
                          : ErrorScale::Highest(bin - center());
  }

  // What is meant: an expert's histogram in a situation, at a horizon. All indices from 0.
  struct Place {
    int horizon = 0;
    int expert = 0;
    int situation = 0;
  };
  void Add(const Place& place, int error);

  // A step passes: what was seen weighs a little less from now on.
  void Fade();

  // Weight by bin, for each single error in it, not normalised: what was seen in this situation,
  // backed by what was seen in all of them, backed by a heavy-tailed prior. `density`: bins().
  void Density(const Place& place, std::span<float> density) const;

  // P(error), normalised over the errors from `lowest` to `highest`, which hold `error` and lie
  // within the reach.
  float Likelihood(const Place& place, int error, int lowest, int highest) const;

  // To a greater reach. What lies in the last bins stays there.
  void Grow(int reach);

  size_t StateBytes() const;
  void Save(SavedWriter& writer) const;
  // False: not from Save of the same horizons and reach; this is in no usable state then.
  bool Restore(SavedReader& reader);

 private:
  int center() const { return side_ - 1; }
  size_t SeenAt(const Place& place) const;
  size_t AllAt(const Place& place) const;
  void Halve(int expert);
  void SetPrior();

  int horizons_;
  int side_;                                  // Bins of errors >= 0.
  std::vector<SmallFloat> seen_;              // [horizon][expert][situation][bin]
  std::vector<float> all_;                    // [horizon][expert][bin]: of all situations.
  std::array<float, kNeedExperts> weight_{};  // Of a sample that comes now: grows, to spare fading.
  std::array<float, kNeedExperts> growth_{};  // Of weight_, a step.
  std::vector<float> prior_;                  // [bin], as Density.
};

}  // namespace shadow
