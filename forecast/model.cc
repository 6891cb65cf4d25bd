#include "forecast/model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "forecast/mixture/quantile_levels.h"

namespace shadow {
namespace {

constexpr float kClip = 6;              // Typical changes from day to day.
constexpr float kLogOffset = 0.05F;     // Of the mean.
constexpr float kConstantPart = 0.02F;  // Of the standard deviation.
constexpr int kWeekDaysMin = 1;         // Of history beyond a week, for features of the week.
constexpr float kLogMax = 50;

// Mean and standard deviation of a function of the cells.
struct Spread {
  double mean = 0;
  double deviation = 0;
};

template <typename Value>
Spread SpreadOf(int64_t first, int64_t end, const Value& value) {
  double sum = 0;
  double squares = 0;
  const auto count = static_cast<double>(end - first);
  for (int64_t t = first; t < end; ++t) sum += value(t);
  const double mean = sum / count;
  for (int64_t t = first; t < end; ++t) squares += (value(t) - mean) * (value(t) - mean);
  return {.mean = mean, .deviation = std::sqrt(squares / count)};
}

// The greatest step of a profile: kClip x (1.5 median + 0.3 mean of the changes from day to day).
float ClipOf(const Series& series, int64_t first, int64_t end, int day) {
  std::vector<float> changes;
  changes.reserve(static_cast<size_t>(end - first));
  double sum = 0;
  for (int64_t t = first + day; t < end; ++t) {
    changes.push_back(std::abs(series(t) - series(t - day)));
    sum += changes.back();
  }
  const auto middle = changes.begin() + static_cast<std::ptrdiff_t>(changes.size() / 2);
  std::nth_element(changes.begin(), middle, changes.end());
  const auto mean = static_cast<float>(sum / static_cast<double>(changes.size()));
  return kClip * (1.5F * *middle + 0.3F * mean + 1e-9F);
}

DayTypes TypesOf(const Shape& shape, const Series& series, int64_t first, int64_t end) {
  std::vector<float> cells;
  cells.reserve(static_cast<size_t>(end - first));
  for (int64_t t = first; t < end; ++t) {
    cells.push_back(series.history->Missing(t) ? kMissing : series(t));
  }
  const int64_t first_day = FloorDivide(first, shape.day);
  return LearnDayTypes({.cells = cells,
                        .day = shape.day,
                        .lead = static_cast<int>(first - first_day * shape.day),
                        .first_day = first_day,
                        .calendar = shape.calendar,
                        .weekly = shape.calendar || shape.week == 7 * shape.day});
}

}  // namespace

Model::Model(const Shape& shape, const Profiles::Setup& setup, float unit)
    : shape_(shape), unit_(unit), next_(setup.first), profiles_(setup), knots_(shape.horizon) {}

std::unique_ptr<Model> Model::Begin(const Shape& shape, const History& history, int64_t end,
                                    SlotQuantiles::Input& input) {
  const int64_t first = std::max(history.first(), end - shape.window);
  int64_t present = 0;
  double sum = 0;
  for (int64_t t = first; t < end; ++t) {
    if (history.Missing(t)) continue;
    ++present;
    sum += history.Filled(t);
  }
  const auto cells = static_cast<double>(end - first);
  if (cells <= kFitDaysMin * shape.day || 2 * present < shape.day) return nullptr;
  const auto unit = static_cast<float>(sum > 0 ? sum / static_cast<double>(present) : 1);
  const Series series = {.history = &history, .scale = 1 / unit};
  const DayTypes types = TypesOf(shape, series, first, end);
  const Spread first_day = SpreadOf(first, first + shape.day, series);
  const bool weekly = shape.week > 0 && end - first >= shape.week + kWeekDaysMin * shape.day;
  const Profiles::Setup setup = {.day = shape.day,
                                 .week = weekly ? shape.week : 0,
                                 .week_days = shape.week > 0 ? shape.week / shape.day : 0,
                                 .first = first,
                                 .types = types,
                                 .level = static_cast<float>(first_day.mean),
                                 .clip = ClipOf(series, first, end, shape.day),
                                 .log_offset = kLogOffset};
  std::unique_ptr<Model> model(new Model(shape, setup, unit));
  const Spread all = SpreadOf(first, end, series);
  const Spread logs =
      SpreadOf(first, end, [&](int64_t t) { return std::log(series(t) + kLogOffset); });
  model->constant_ = kConstantPart * (static_cast<float>(all.deviation) + 1e-9F);
  model->log_constant_ = kConstantPart * (static_cast<float>(logs.deviation) + 1e-9F);
  input = {.shape = &model->shape_, .series = series, .first = first, .end = end, .types = types};
  return model;
}

std::unique_ptr<Model> Model::Fit(const Shape& shape, const History& history, int64_t end) {
  SlotQuantiles::Input input{};
  std::unique_ptr<Model> model = Begin(shape, history, end, input);
  if (model == nullptr) return nullptr;
  const BackTest test = RunBackTest({.shape = &shape,
                                     .series = input.series,
                                     .first = input.first,
                                     .end = end,
                                     .constant = model->constant_,
                                     .log_constant = model->log_constant_},
                                    model->profiles_);
  if (test.rows() == 0) return nullptr;  // All that it could be judged by is missing.
  model->next_ = end;
  model->LearnExperts(test, input);
  model->SetVerdict();
  return model;
}

std::unique_ptr<Model> Model::Load(SavedReader& reader, const Shape& shape, const History& history,
                                   int64_t end) {
  SlotQuantiles::Input input{};
  std::unique_ptr<Model> model = Begin(shape, history, end, input);
  if (model == nullptr || !model->LoadLearned(reader)) return nullptr;
  for (int64_t t = input.first; t < end; ++t) model->profiles_.Push(input.series, t);
  model->next_ = end;
  model->slots_.emplace(input);
  model->SetVerdict();
  return model;
}

void Model::LearnExperts(const BackTest& test, const SlotQuantiles::Input& input) {
  const Coefficients prior = PriorCoefficients(profiles_.setup().week > 0);
  const Eigen::VectorXf log_actual = (test.actual.array() + kLogOffset).log();
  const StackFit fit = FitStack(test, test.levels, test.actual - test.level, prior);
  const StackFit log_fit = FitStack(test, test.logs, log_actual - test.log_level, prior);
  stack_ = fit.coefficients;
  log_stack_ = log_fit.coefficients;
  using F = LevelFeatures;
  const auto column = [&](size_t k) -> Eigen::VectorXf {
    return test.levels.col(static_cast<Eigen::Index>(k)) + test.level;
  };
  const std::array<Eigen::VectorXf, kDressed> points = {fit.out_of_fold + test.level,
                                                        log_fit.out_of_fold + test.log_level,
                                                        column(F::kYesterday),
                                                        column(F::kLastWeek),
                                                        test.nearest,
                                                        column(F::kSimilar),
                                                        test.moved};
  std::array<JudgedMatrix, kExperts> judged;
  Eigen::VectorXf scale(test.rows());
  dressings_.reserve(kDressed);
  for (size_t j = 0; j < kDressed; ++j) {
    const bool logs = j == kLogStack;
    const Eigen::VectorXf& actual = logs ? log_actual : test.actual;
    const Dressing& dressing = dressings_.emplace_back(test, knots_, actual - points[j]);
    JudgedMatrix& of = judged[j];
    of.resize(test.rows(), static_cast<int>(kJudged.size()));
    for (int row = 0; row < test.rows(); ++row) {
      const auto at = static_cast<size_t>(row);
      scale[row] = dressing.Scale(test.type[at], test.slot[at], knots_.PlaceOf(test.lead[at]));
    }
    for (size_t b = 0; b < kBuckets; ++b) {
      const auto point = points[j].segment(test.begin[b], test.rows(b));
      const auto unit = scale.segment(test.begin[b], test.rows(b));
      for (size_t i = 0; i < kJudged.size(); ++i) {
        of.col(static_cast<Eigen::Index>(i)).segment(test.begin[b], test.rows(b)) =
            point + dressing.Shape(b)[kJudged[i]] * unit;
      }
    }
    if (logs) of = of.array().min(kLogMax).exp() - kLogOffset;
    of = of.cwiseMax(0.0F);
    losses_[j] = LossOf(test, of);
  }
  slots_.emplace(input);
  judged[kSlot] = SlotQuantiles::LeaveOneOut(input, test);
  losses_[kSlot] = LossOf(test, judged[kSlot]);
  weights_ = Weigh(losses_);
  const JudgedMatrix mixed = Combine(test, judged, weights_);
  loss_ = LossOf(test, mixed);
  const WidthFactors factors = Calibrate(test, mixed);
  for (size_t b = 0; b < kBuckets; ++b) {
    widen_[b] = FactorsAtLevels(factors[b]);
    for (size_t i = 0; i < kLevels.size(); ++i) widen_[b][i] *= kWiden[i];
  }
}

void Model::Follow(const History& history, int64_t end) {
  const Series series = {.history = &history, .scale = 1 / unit_};
  if (next_ < end) near_ = {};
  for (; next_ < end; ++next_) profiles_.Push(series, next_);
}

Model::Place Model::PlaceOfLead(int lead) const {
  const int64_t t = next_ + lead - 1;
  const int64_t day = FloorDivide(t, shape_.day);
  return {.lead = lead,
          .slot = static_cast<int>(t - day * shape_.day),
          .type = profiles_.setup().types.TypeOf(day),
          .bucket = BucketOf(lead, shape_.day),
          .knot = knots_.PlaceOf(lead)};
}

Model::Points Model::PointsAt(const Series& series, const Place& place) {
  const Levels levels = profiles_.At(series, next_ + place.lead - 1);
  const Latest& latest = profiles_.latest();
  const Latest& latest_log = profiles_.latest_log();
  constexpr int kCount = LevelFeatures::kCount;
  const Eigen::Map<const Eigen::Array<float, 1, kCount>> raw(levels.data());
  const auto fading = Fading(static_cast<float>(place.lead), shape_.day);
  FeatureRow row;
  row.head<kCount>() = raw - latest.level;
  ComposeRow(latest, fading, constant_, row);
  FeatureRow log_row;
  log_row.head<kCount>() = (raw.max(0.0F) + kLogOffset).log() - latest_log.level;
  ComposeRow(latest_log, fading, log_constant_, log_row);
  const auto b = static_cast<Eigen::Index>(place.bucket);
  using F = LevelFeatures;
  Points points;
  points.at << Bounded(row, row.dot(stack_.row(b))) + latest.level,
      Bounded(log_row, log_row.dot(log_stack_.row(b))) + latest_log.level, levels[F::kYesterday],
      levels[F::kLastWeek], latest.nearest, levels[F::kSimilar],
      MovedDay(levels, latest, place.lead, shape_.day), 0;
  for (size_t j = 0; j < kDressed; ++j) {
    points.scale[static_cast<Eigen::Index>(j)] =
        dressings_[j].Scale(place.type, place.slot, place.knot);
  }
  return points;
}

Model::Level Model::LevelIn(size_t bucket, size_t at) const {
  Level level = {.level = at, .disagree = kDisagree[at], .widen = widen_[bucket][at]};
  for (size_t j = 0; j < kDressed; ++j) {
    level.shape[static_cast<Eigen::Index>(j)] = dressings_[j].Shape(bucket)[at];
  }
  return level;
}

Model::LevelSet Model::LevelsFor(size_t bucket, std::span<const LevelPlace> places) const {
  LevelSet asked;
  for (const LevelPlace& place : places) {
    if (place.share != 1) asked.set(place.low);
    if (place.share != 0) asked.set(place.low + 1);
  }
  LevelSet needed = asked;
  const LevelArray& widen = widen_[bucket];
  for (size_t at = 0; at < kLevels.size(); ++at) {
    if (!asked[at]) continue;
    for (size_t near = at; near < kMedian; ++near) {
      if (widen[near] > widen[at]) needed.set(near);
    }
    for (size_t near = at; near > kMedian; --near) {
      if (widen[near] > widen[at]) needed.set(near);
    }
  }
  return needed.set(kMedian);  // Always computed.
}

Model::Bucket Model::BucketAt(size_t bucket) const {
  Bucket made;
  std::copy(weights_[bucket].begin(), weights_[bucket].end(), made.weights.data());
  for (size_t at = 0; at < kLevels.size(); ++at) made.levels[at] = LevelIn(bucket, at);
  return made;
}

Model::Lanes Model::QuantilesAt(const Points& points, const Place& place,
                                const Level& level) const {
  Lanes values = points.at + points.scale * level.shape;
  values[kLogStack] = std::exp(std::min(values[kLogStack], kLogMax)) - kLogOffset;
  values[kSlot] = slots_->At(place.type, place.slot)[level.level];
  return values.max(0.0F);
}

void Model::Compute(const Series& series, int lead, const Bucket& bucket, Cell& cell) {
  const Place place = PlaceOfLead(lead);
  const Points points = PointsAt(series, place);
  const Lanes& weights = bucket.weights;
  const Lanes medians = QuantilesAt(points, place, bucket.levels[kMedian]);
  const float median = (weights * medians).sum();
  const float disagreement = std::sqrt((weights * (medians - median).square()).sum());
  const auto value = [&](const Level& level) {
    const float mean = (weights * QuantilesAt(points, place, level)).sum();
    return median + (mean + disagreement * level.disagree - median) * level.widen;
  };
  cell.values[kMedian] = median;
  float before = median;
  for (size_t at = kMedian + 1; at < kLevels.size(); ++at) {
    if (cell.known[at]) cell.values[at] = before = std::max(before, value(bucket.levels[at]));
  }
  before = median;
  for (size_t at = kMedian; at-- > 0;) {
    if (cell.known[at]) cell.values[at] = before = std::min(before, value(bucket.levels[at]));
  }
}

std::vector<std::vector<double>> Model::Forecast(const History& history, std::span<const int> leads,
                                                 std::span<const double> quantiles) {
  const Series series = {.history = &history, .scale = 1 / unit_};
  std::vector<LevelPlace> places;
  places.reserve(quantiles.size());
  for (const double quantile : quantiles) places.push_back(PlaceOf(quantile));
  LevelSet needed;
  size_t bucket_at = kBuckets;   // `needed` belongs to this bucket.
  std::optional<Bucket> bucket;  // Unset: all of its cells so far were known.
  bool begun = false;            // The origin is set.
  std::vector<std::vector<double>> rows;
  rows.reserve(leads.size());
  for (const int lead : leads) {
    if (const size_t at = BucketOf(lead, shape_.day); at != bucket_at) {
      bucket_at = at;
      bucket.reset();
      needed = LevelsFor(bucket_at, places);
    }
    Cell far;
    const auto place = static_cast<size_t>(lead) - 1;
    Cell& cell = place < near_.size() ? near_[place] : far;
    if ((needed & ~cell.known).any()) {
      if (!std::exchange(begun, true)) profiles_.SetOrigin(next_);
      if (!bucket.has_value()) bucket = BucketAt(bucket_at);
      cell.known |= needed;
      Compute(series, lead, *bucket, cell);
    }
    std::vector<double>& row = rows.emplace_back();
    row.reserve(places.size());
    for (const LevelPlace& at : places) {
      row.push_back(static_cast<double>(std::max(at.In(cell.values), 0.0F)) * unit_);
    }
  }
  return rows;
}

int64_t Model::Bytes() const {
  int64_t bytes =
      static_cast<int64_t>(sizeof(*this)) + profiles_.Bytes() + slots_->Bytes() + knots_.Bytes();
  for (const Dressing& dressing : dressings_) bytes += dressing.Bytes();
  return bytes + static_cast<int64_t>(verdict_.reason.capacity());
}

}  // namespace shadow
