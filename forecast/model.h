// What a fit learns of one series, and the forecasts that follow from it.
#pragma once

#include <Eigen/Core>
#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "forecast/experts/profiles.h"
#include "forecast/experts/slot_quantiles.h"
#include "forecast/experts/stack.h"
#include "forecast/forecaster.h"
#include "forecast/mixture/calibration.h"
#include "forecast/mixture/dressing.h"
#include "forecast/mixture/mixture.h"
#include "forecast/mixture/quantile_levels.h"
#include "forecast/mixture/trust.h"
#include "forecast/saved_bytes.h"
#include "forecast/shape.h"

namespace shadow {

// A fit needs more cells than this share of a day, half a day of them with a value.
inline constexpr double kFitDaysMin = 1.2;

// One owner at a time; a copy is a model of its own. Everything inside is in units of the window's
// mean.
class Model {
 public:
  // Learns from the cells [end - shape.window, end) of `history`, or the ones that it holds of
  // them. Pure: may run on another thread, on a copy of the history. Null: too few cells.
  static std::unique_ptr<Model> Fit(const Shape& shape, const History& history, int64_t end);

  // What is dear to learn again of a model, as it was fitted; what it followed since is not in it.
  void Save(SavedWriter& writer) const;
  // The model that Fit of the same arguments gave, in a quarter of the time, before it followed
  // anything. Null: not from Save.
  static std::unique_ptr<Model> Load(SavedReader& reader, const Shape& shape,
                                     const History& history, int64_t end);

  // Follows the history to the cell `end`, which it holds; O(1) a cell.
  void Follow(const History& history, int64_t end);

  // Quantiles of the cells `leads` (ascending, from 1) after the last one followed, one row each,
  // in the history's unit. `quantiles` ascend. No quantile depends on which others are asked for.
  std::vector<std::vector<double>> Forecast(const History& history, std::span<const int> leads,
                                            std::span<const double> quantiles);

  int64_t next() const { return next_; }
  int64_t Bytes() const;

  // Trusted, or worse than naive: by the back-test over about the last day.
  const TrustVerdict& Verdict() const { return verdict_; }

 private:
  Model(const Shape& shape, const Profiles::Setup& setup, float unit);

  // A fit that has learned nothing yet. `input`: what it is to learn from. Null: too few cells.
  static std::unique_ptr<Model> Begin(const Shape& shape, const History& history, int64_t end,
                                      SlotQuantiles::Input& input);

  // Where a cell lies that is `lead` cells ahead.
  struct Place {
    int lead = 1;
    int slot = 0;
    int type = 0;
    size_t bucket = 0;
    float knot = 0;  // LeadKnots::PlaceOf.
  };
  Place PlaceOfLead(int lead) const;

  // One value an expert, and zeros: eight floats are worked on at once.
  static constexpr int kLanes = 8;
  static_assert(kExperts <= kLanes);
  using Lanes = Eigen::Array<float, kLanes, 1>;

  // Point forecasts of the dressed experts and the scales of their errors, kLogStack's in
  // logarithms.
  struct Points {
    Lanes at = Lanes::Zero();
    Lanes scale = Lanes::Zero();
  };
  Points PointsAt(const Series& series, const Place& place);

  // What one of kLevels comes to in a bucket.
  struct Level {
    size_t level = 0;
    Lanes shape = Lanes::Zero();
    float disagree = 0;
    float widen = 1;
  };
  Level LevelIn(size_t bucket, size_t level) const;

  // Those of kLevels that the quantiles at `places` follow from: a level nearer to the median that
  // is widened more could lie beyond them.
  using LevelSet = std::bitset<kLevels.size()>;
  LevelSet LevelsFor(size_t bucket, std::span<const LevelPlace> places) const;

  // What all cells of a bucket have in common.
  struct Bucket {
    Lanes weights = Lanes::Zero();
    std::array<Level, kLevels.size()> levels;
  };
  Bucket BucketAt(size_t bucket) const;

  // A cell ahead: its values at those of kLevels that were asked for, in units of the mean.
  struct Cell {
    LevelSet known;
    LevelArray values{};
  };
  // Computes those values of the cell that `known` names. Its origin is set already.
  void Compute(const Series& series, int lead, const Bucket& bucket, Cell& cell);

  // Each expert's quantile.
  Lanes QuantilesAt(const Points& points, const Place& place, const Level& level) const;

  void LearnExperts(const BackTest& test, const SlotQuantiles::Input& input);
  void SetVerdict() { verdict_ = Judge({.own = loss_, .experts = losses_}); }

  // False: not from Save.
  bool LoadLearned(SavedReader& reader);

  Shape shape_;
  float unit_;  // The window's mean.
  int64_t next_;
  Profiles profiles_;
  float constant_ = 0;
  float log_constant_ = 0;
  Coefficients stack_;
  Coefficients log_stack_;
  LeadKnots knots_;
  std::vector<Dressing> dressings_;  // kDressed of them.
  std::optional<SlotQuantiles> slots_;
  std::array<ExpertLoss, kExperts> losses_;
  ExpertLoss loss_;       // Of the mixture.
  TrustVerdict verdict_;  // By these.
  MixtureWeights weights_{};
  std::array<LevelArray, kBuckets> widen_{};  // Factors of the distance from the median.
  // The nearest cells, from lead 1 on: where steps are finer than cells, each of several forecasts
  // a step asks for them, until a cell closes.
  std::array<Cell, 4> near_;
};

}  // namespace shadow
