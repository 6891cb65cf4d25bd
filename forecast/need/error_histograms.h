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

  // An expert's P(error) in a situation, normalised over the errors that a load from 0 to the reach
  // makes: what was seen in this situation, backed by what was seen in all of them, backed by a
  // heavy-tailed prior.
  struct Density {
    std::array<float, kBinsMax> of_each;  // By bin: P of each single error in it.
    float sum = 0;  // Of P over what can be, which `of_each` is not divided by.
    int first = 0;  // Bins of the lowest and of the highest that can be.
    int last = 0;
  };
  // `guess`: 0 to the reach. Only bins from `first` to `last` are filled in.
  void Read(const Place& place, int guess, Density& density) const;

  // Read and Add of the places of one horizon, one an expert, follow soon. Their rows lie apart,
  // and between two steps of a pool those of many others are read: they are fetched all at once.
  void Fetch(int horizon, const std::array<uint8_t, kNeedExperts>& situations) const;

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
  void Halve();
  void SetPrior();

  int horizons_;
  int reach_;
  int side_;                      // Bins of errors >= 0.
  std::vector<SmallFloat> seen_;  // [horizon][expert][situation][bin]
  std::vector<float> all_;        // [horizon][expert][bin]: of all situations.
  std::vector<float> total_;      // [horizon][expert]: sums of all_.
  float weight_ = 1;              // Of a sample that comes now: grows, to spare fading.
  float growth_;                  // Of weight_, a step.
  std::vector<float> prior_;      // [bin], of each single error.
  std::vector<float> width_;      // [bin]: how many errors it holds.
};

}  // namespace shadow
