#include "forecast/mixture/back_test.h"

#include <algorithm>
#include <cmath>

namespace shadow {
namespace {

constexpr std::array<float, Latest::kDeviations> kFadingDays = {1.0F / 48, 1.0F / 6, 1, 4};
constexpr int kFolds = 4;
constexpr double kFitHalfLife = 0.4;  // Of the window.
constexpr double kErrorHalfLife = 0.25;
constexpr double kTimeOfDayWeight = 6;
constexpr double kTimeOfDayWidth = 0.1;    // Days, of a bell.
constexpr size_t kTimeOfDayBucketMax = 3;  // For errors.
constexpr size_t kShortBucketMax = 2;      // Looked at from all origins.
constexpr double kShortOnlyPart = 0.4;  // Of the window, the latest, has origins for short leads.
constexpr int kOriginsPerFull = 5;      // Every so manieth looks at all leads.
constexpr double kDaysMin = 0.3;
constexpr int kOriginsMax = 120;
constexpr int kOriginStrideMin = 5;
constexpr int kLeadsMax = 18;          // Of one origin and bucket, about.
constexpr float kLikeNow = 20;         // Times that an origin at the present level counts more.
constexpr float kLikeNowWidth = 0.3F;  // In units of the mean, and in logarithms, of a bell.

constexpr float kMovedBeyondDay = 1.3F;

struct Origin {
  int cell = 0;        // The first that is not known, counted from the window's first.
  bool whole = false;  // Looks at all leads, not only at short ones.
  int turn = 0;        // Which targets it looks at where it passes over some.
};

// Rising, up to the last cell.
std::vector<Origin> Origins(int cells, int day) {
  const int first =
      cells < 3 * day ? day : std::max(day + 1, std::min(7 * day, static_cast<int>(0.3 * cells)));
  const int wanted = day <= 48 ? kOriginStrideMin : day / 8 + 1;
  const int full = std::max(wanted, (cells - 1 - first) / kOriginsMax + 1);
  const int stride = std::max(1, full / kOriginsPerFull);
  std::vector<Origin> origins;
  int back = 0;
  for (int cell = cells - 1; cell >= first; cell -= stride, ++back) {
    const bool whole = back % kOriginsPerFull == 0;
    if (!whole && cells - cell > kShortOnlyPart * cells) continue;
    origins.push_back({.cell = cell, .whole = whole, .turn = back / kOriginsPerFull});
  }
  std::reverse(origins.begin(), origins.end());
  return origins;
}

// 1 far from the present time of day, 7 at it. `ago`: cells.
double TimeOfDay(int ago, int day) {
  const double part = static_cast<double>(ago % day) / day;
  const double away = std::min(part, 1 - part) / kTimeOfDayWidth;
  return 1 + kTimeOfDayWeight * std::exp(-0.5 * away * away);
}

// How many leads of a bucket one origin passes over between two that it looks at.
std::array<int, kBuckets> Strides(const Shape& shape) {
  std::array<int, kBuckets> counts{};
  for (int lead = 1; lead <= shape.horizon; ++lead) ++counts[BucketOf(lead, shape.day)];
  std::array<int, kBuckets> strides{};
  for (size_t b = 0; b < kBuckets; ++b) strides[b] = std::max(1, counts[b] / kLeadsMax);
  return strides;
}

class Writer {
 public:
  Writer(const BackTestInput& input, Profiles& profiles)
      : input_(input),
        profiles_(profiles),
        cells_(static_cast<int>(input.end - input.first)),
        origins_(Origins(cells_, input.shape->day)),
        strides_(Strides(*input.shape)) {
    for (int lead = 1; lead <= input.shape->horizon; ++lead) {
      leads_.push_back(lead);
      if (BucketOf(lead, input.shape->day) <= kShortBucketMax) short_leads_ = leads_.size();
      buckets_.push_back(BucketOf(lead, input.shape->day));
      fading_.push_back(Fading(static_cast<float>(lead), input.shape->day));
    }
  }

  BackTest Run() {
    Allocate();
    size_t next = 0;
    for (int cell = 0; cell < cells_; ++cell) {
      if (next < origins_.size() && origins_[next].cell == cell) WriteOrigin(next++);
      profiles_.Push(input_.series, input_.first + cell);
    }
    CountLikeNow();
    const float offset = profiles_.setup().log_offset;
    auto levels = test_.levels.leftCols<LevelFeatures::kCount>();
    test_.logs.leftCols<LevelFeatures::kCount>() =
        (levels.array().max(0.0F) + offset).log().matrix().colwise() - test_.log_level;
    levels.colwise() -= test_.level;
    return std::move(test_);
  }

 private:
  // For losses and widths, rows count less the farther the level at their origin was from what it
  // is now.
  void CountLikeNow() {
    const Eigen::ArrayXf away =
        ((test_.level.array() - profiles_.latest().level).square() +
         (test_.log_level.array() - profiles_.latest_log().level).square()) /
        (kLikeNowWidth * kLikeNowWidth);
    const Eigen::ArrayXf like = (1 + kLikeNow * (-0.5F * away).exp()) / (1 + kLikeNow);
    test_.centre_weight = test_.weight;
    test_.weight.array() *= like;
    test_.plain_weight.array() *= like;
  }

  // Leads of origin `index`, from 1.
  size_t LeadCount(size_t index) const {
    return origins_[index].whole ? leads_.size() : short_leads_;
  }

  // Of a bucket with many leads only every so manieth target, in turn: not the same slots each day.
  bool Wanted(const Origin& origin, size_t i) const {
    const int target = origin.cell + leads_[i] - 1;
    if (target >= cells_ || (target + origin.turn) % strides_[buckets_[i]] != 0) return false;
    return !input_.series.history->Missing(input_.first + target);
  }

  void Allocate() {
    std::array<int, kBuckets> counts{};
    int first = cells_;
    int last = 0;
    for (size_t index = 0; index < origins_.size(); ++index) {
      const int origin = origins_[index].cell;
      for (size_t i = 0; i < LeadCount(index); ++i) {
        if (!Wanted(origins_[index], i)) continue;
        ++counts[buckets_[i]];
        first = std::min(first, origin + leads_[i] - 1);
        last = std::max(last, origin + leads_[i] - 1);
      }
    }
    for (size_t b = 0; b < kBuckets; ++b) test_.begin[b + 1] = test_.begin[b] + counts[b];
    cursor_ = test_.begin;
    const int rows = test_.begin[kBuckets];
    test_.day = input_.shape->day;
    test_.horizon = input_.shape->horizon;
    test_.days = std::max(static_cast<double>(last - first) / test_.day, kDaysMin);
    test_.folds = kFolds;
    for (auto* v : {&test_.fold, &test_.lead, &test_.target, &test_.slot, &test_.type}) {
      v->resize(static_cast<size_t>(rows));
    }
    for (auto* v : {&test_.actual, &test_.level, &test_.log_level, &test_.nearest, &test_.moved,
                    &test_.fit_weight, &test_.weight, &test_.plain_weight, &test_.recent}) {
      v->resize(rows);
    }
    test_.levels.resize(rows, kFeatures);
    test_.logs.resize(rows, kFeatures);
  }

  void WriteOrigin(size_t index) {
    const int origin = origins_[index].cell;
    const int span = origins_.back().cell - origins_.front().cell + 1;
    const int fold = std::min((origin - origins_.front().cell) * kFolds / span, kFolds - 1);
    const int day = input_.shape->day;
    const double age = static_cast<double>(cells_ - origin) / cells_;  // Windows.
    const auto near = static_cast<float>(TimeOfDay(cells_ - origin, day));
    const auto fit = static_cast<float>(std::exp2(-age / kFitHalfLife));
    const auto error = static_cast<float>(std::exp2(-age / kErrorHalfLife));
    profiles_.SetOrigin(input_.first + origin);
    for (size_t i = 0; i < LeadCount(index); ++i) {
      if (!Wanted(origins_[index], i)) continue;
      const int row = cursor_[buckets_[i]]++;
      const auto at = static_cast<size_t>(row);
      const int target = origin + leads_[i] - 1;
      const int64_t t = input_.first + target;
      const int64_t number = FloorDivide(t, day);
      test_.fold[at] = fold;
      test_.lead[at] = leads_[i];
      test_.target[at] = target;
      test_.slot[at] = static_cast<int>(t - number * day);
      test_.type[at] = profiles_.setup().types.TypeOf(number);
      test_.actual[row] = input_.series(t);
      test_.level[row] = profiles_.latest().level;
      test_.log_level[row] = profiles_.latest_log().level;
      test_.nearest[row] = profiles_.latest().nearest;
      test_.fit_weight[row] = buckets_[i] <= kShortBucketMax ? fit * near : fit;
      test_.weight[row] = buckets_[i] <= kTimeOfDayBucketMax ? error * near : error;
      test_.plain_weight[row] = error;
      test_.recent[row] = std::exp2(static_cast<float>(target - cells_) / static_cast<float>(day));
      const Levels levels = profiles_.At(input_.series, t);
      for (size_t k = 0; k < levels.size(); ++k) {
        test_.levels(row, static_cast<Eigen::Index>(k)) = levels[k];
      }
      test_.moved[row] = MovedDay(levels, profiles_.latest(), leads_[i], day);
      ComposeRow(profiles_.latest(), fading_[i], input_.constant, test_.levels.row(row));
      ComposeRow(profiles_.latest_log(), fading_[i], input_.log_constant, test_.logs.row(row));
    }
  }

  const BackTestInput& input_;
  Profiles& profiles_;
  int cells_;
  std::vector<Origin> origins_;
  std::array<int, kBuckets> strides_;
  std::vector<int> leads_;
  size_t short_leads_ = 0;       // The first so many of leads_.
  std::vector<size_t> buckets_;  // By lead.
  std::vector<std::array<float, Latest::kDeviations>> fading_;
  std::array<int, kBuckets + 1> cursor_{};
  BackTest test_;
};

}  // namespace

std::array<float, Latest::kDeviations> Fading(float lead, int day) {
  std::array<float, Latest::kDeviations> fading{};
  for (size_t i = 0; i < fading.size(); ++i) {
    fading[i] = std::exp2(-lead / (kFadingDays[i] * static_cast<float>(day)));
  }
  return fading;
}

float MovedDay(const Levels& levels, const Latest& latest, int lead, int day) {
  return levels[LevelFeatures::kYesterday] + (lead <= day ? 1 : kMovedBeyondDay) * latest.moved;
}

void ComposeRow(const Latest& latest, const std::array<float, Latest::kDeviations>& fading,
                float constant, Eigen::Ref<FeatureRow> row) {
  for (size_t i = 0; i < fading.size(); ++i) {
    row[kDeviationColumn + static_cast<int>(i)] = latest.deviations[i] * fading[i];
  }
  row[kSlowColumn] = latest.slow - latest.level;
  row[kFastColumn] = latest.fast - latest.level;
  row[kConstantColumn] = constant;
  row[kUnusedColumn] = 0;
}

BackTest RunBackTest(const BackTestInput& input, Profiles& profiles) {
  return Writer(input, profiles).Run();
}

}  // namespace shadow
