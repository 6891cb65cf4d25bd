#include "forecast/experts/profiles.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace shadow {
namespace {

constexpr float kDayGain = 0.35F;
constexpr float kTypeGain = 0.30F;
constexpr float kWeekGain = 0.35F;
constexpr float kSingleDayClips = 2.75F;  // Of Profiles::Setup::clip.
constexpr int kSmoothPart = 64;           // Of a day, to either side.

float Gain(double half_life) { return static_cast<float>(1 - std::exp2(-1 / half_life)); }

// The middle one, or the mean of the two in the middle.
float Median(std::span<float> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

size_t SlotOf(int64_t t, int period) {
  const int64_t slot = t % period;
  return static_cast<size_t>(slot < 0 ? slot + period : slot);
}

}  // namespace

Profiles::Gains Profiles::MakeGains(int day) {
  const double d = day;
  return {.level = Gain(d),
          .slow = Gain(4 * d),
          .fast = Gain(std::max(0.5, d / 48)),
          .nearest = Gain(std::max(0.5, d / 96)),
          .moved = Gain(std::max(0.5, d / 8)),
          .deviations = {Gain(0.5), Gain(std::max(1.0, d / 24)), Gain(d / 5), Gain(d)}};
}

Profiles::Profiles(const Setup& setup)
    : setup_(setup),
      gains_(MakeGains(setup.day)),
      similar_({.day = setup.day,
                .week_days = setup.week_days,
                .first = setup.first,
                .types = setup.types}),
      day_(static_cast<size_t>(setup.day)),
      week_(static_cast<size_t>(setup.week)),
      week_median_(static_cast<size_t>(setup.week)),
      lag_day_(std::numeric_limits<int64_t>::min()) {
  for (auto& table : type_) table.assign(static_cast<size_t>(setup.day), kMissing);
  for (auto& table : type_median_) table.assign(static_cast<size_t>(setup.day), kMissing);
  for (auto& table : type_count_) table.assign(static_cast<size_t>(setup.day), 0);
  latest_.level = latest_.slow = setup.level;
  latest_log_.level = latest_log_.slow = std::log(setup.level + setup.log_offset);
}

float Profiles::Clip(float change) const { return std::clamp(change, -setup_.clip, setup_.clip); }

void Profiles::Follow(Latest& latest, const Seen& seen, bool first) const {
  const auto [x, steady, deviation] = seen;
  latest.level += gains_.level * (steady - latest.level);
  latest.slow += gains_.slow * (steady - latest.slow);
  latest.fast += (first ? 1 : gains_.fast) * (x - latest.fast);
  latest.nearest += (first ? 1 : gains_.nearest) * (x - latest.nearest);
  for (size_t i = 0; i < Latest::kDeviations; ++i) {
    latest.deviations[i] += gains_.deviations[i] * (deviation - latest.deviations[i]);
  }
}

void Profiles::Push(const Series& series, int64_t t) {
  const float x = series(t);
  const int64_t age = t - setup_.first;
  const size_t slot = SlotOf(t, setup_.day);
  const auto type = static_cast<size_t>(setup_.types.TypeOf(FloorDivide(t, setup_.day)));
  float expected = type_[type][slot];
  if (std::isnan(expected)) expected = age < setup_.day ? x : day_[slot];
  const float reach = kSingleDayClips * setup_.clip;
  const float steady = std::clamp(x, expected - reach, expected + reach);
  const auto log_of = [&](float value) {
    return std::log(std::max(value, 0.0F) + setup_.log_offset);
  };
  const float log_x = log_of(x);
  Follow(latest_, {.value = x, .steady = steady, .deviation = x - expected}, age == 0);
  Follow(latest_log_,
         {.value = log_x,
          .steady = steady == x ? log_x : log_of(steady),
          .deviation = log_x - log_of(expected)},
         age == 0);
  if (age < setup_.day) {
    day_[slot] = x;
  } else {
    latest_.moved += gains_.moved * (x - series(t - setup_.day) - latest_.moved);
    const int64_t days = age / setup_.day + 1;
    day_[slot] += std::max(kDayGain, 1 / static_cast<float>(days)) * Clip(x - day_[slot]);
  }
  PushType(series, t, x);
  if (setup_.week > 0) PushWeek(series, t, x);
  similar_.Push(series, t);
}

void Profiles::PushType(const Series& series, int64_t t, float x) {
  const int64_t day = FloorDivide(t, setup_.day);
  const int type = setup_.types.TypeOf(day);
  if (day != lag_day_) {
    lag_day_ = day;
    int lag = 0;
    for (int& back : type_lags_) {
      const int until = lag + 7;
      do {
        ++lag;
      } while (lag < until && setup_.types.TypeOf(day - lag) != type);
      back = lag;
    }
  }
  const size_t slot = SlotOf(t, setup_.day);
  const auto k = static_cast<size_t>(type);
  float& profile = type_[k][slot];
  uint16_t& count = type_count_[k][slot];
  if (count == 0) profile = t - setup_.first < setup_.day ? x : day_[slot];
  if (count < std::numeric_limits<uint16_t>::max()) ++count;
  profile += std::max(kTypeGain, 1 / static_cast<float>(count)) * Clip(x - profile);
  std::array<float, 5> seen = {x};
  size_t size = 1;
  for (const int lag : type_lags_) {
    const int64_t back = t - static_cast<int64_t>(lag) * setup_.day;
    if (back < setup_.first) break;
    seen[size++] = series(back);
  }
  type_median_[k][slot] = Median({seen.data(), size});
}

void Profiles::PushWeek(const Series& series, int64_t t, float x) {
  const int64_t weeks = (t - setup_.first) / setup_.week;
  const size_t slot = SlotOf(t, setup_.week);
  if (weeks == 0) {
    const auto type = static_cast<size_t>(setup_.types.TypeOf(FloorDivide(t, setup_.day)));
    week_[slot] = type_[type][SlotOf(t, setup_.day)];
  } else {
    const float gain = std::max(kWeekGain, 1 / static_cast<float>(weeks + 1));
    week_[slot] += gain * Clip(x - week_[slot]);
  }
  std::array<float, 4> seen = {x};
  size_t size = 1;
  for (int back = 1; back <= std::min<int64_t>(3, weeks); ++back) {
    seen[size++] = series(t - static_cast<int64_t>(back) * setup_.week);
  }
  week_median_[slot] = Median({seen.data(), size});
}

float Profiles::Smooth(const std::vector<float>& table, size_t slot) const {
  const int reach = setup_.day / kSmoothPart;
  float sum = 0;
  float weight = 0;
  for (int k = -reach; k <= reach; ++k) {
    int at = static_cast<int>(slot) + k;
    if (at < 0) at += setup_.day;
    if (at >= setup_.day) at -= setup_.day;
    const float value = table[static_cast<size_t>(at)];
    if (std::isnan(value)) continue;
    const auto w = static_cast<float>(reach + 1 - std::abs(k));
    sum += w * value;
    weight += w;
  }
  return sum / weight;
}

void Profiles::SetOrigin(int64_t origin) {
  origin_ = origin;
  similar_.SetOrigin(origin);
}

Levels Profiles::At(const Series& series, int64_t t) {
  using F = LevelFeatures;
  Levels levels;
  const int lead = static_cast<int>(t - origin_ + 1);
  const int64_t number = FloorDivide(t, setup_.day);
  const auto slot = static_cast<size_t>(t - number * setup_.day);
  const auto type = static_cast<size_t>(setup_.types.TypeOf(number));
  const int nearest = (lead + setup_.day - 1) / setup_.day;  // Days back to one that is known.
  const int64_t yesterday = t - static_cast<int64_t>(nearest) * setup_.day;
  levels[F::kYesterday] = series(yesterday);
  const bool typed = type_count_[type][slot] > 0;
  levels[F::kType] = typed ? type_[type][slot] : day_[slot];
  levels[F::kSmooth] = typed ? Smooth(type_[type], slot) : levels[F::kType];
  levels[F::kTypeMedian] = typed ? type_median_[type][slot] : levels[F::kYesterday];
  levels[F::kWeek] = levels[F::kType];
  levels[F::kWeekMedian] = levels[F::kTypeMedian];
  levels[F::kLastWeek] = setup_.week > 0 ? levels[F::kType] : levels[F::kYesterday];
  if (setup_.week > 0) {
    const int64_t last_week =
        t - static_cast<int64_t>((lead + setup_.week - 1) / setup_.week) * setup_.week;
    if (last_week >= setup_.first) {
      const size_t week_slot = SlotOf(t, setup_.week);
      levels[F::kWeek] = week_[week_slot];
      levels[F::kLastWeek] = series(last_week);
      levels[F::kWeekMedian] = week_median_[week_slot];
    }
  }
  const float similar = similar_.At(series, t);
  levels[F::kSimilar] = std::isnan(similar) ? levels[F::kYesterday] : similar;
  // A spike goes on only so far: single days count up to some way from the days of the type.
  const float usual = levels[F::kTypeMedian];
  const float reach = kSingleDayClips * setup_.clip;
  for (const size_t k : {F::kYesterday, F::kLastWeek, F::kSimilar}) {
    levels[k] = usual + std::clamp(levels[k] - usual, -reach, reach);
  }
  return levels;
}

int64_t Profiles::Bytes() const {
  const auto day = static_cast<int64_t>(day_.size());
  const auto week = static_cast<int64_t>(week_.size());
  const auto cell = static_cast<int64_t>(sizeof(float));
  return static_cast<int64_t>(sizeof(*this)) + cell * (5 * day + 2 * week) +
         2 * day * static_cast<int64_t>(sizeof(uint16_t));
}

}  // namespace shadow
