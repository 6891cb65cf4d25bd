#include "forecast/experts/slot_quantiles.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace shadow {
namespace {

constexpr double kDayHalfLife = 10;
constexpr int kTypeDaysMin = 4;
constexpr int kLeaveOutDaysMin = 3;
constexpr double kReachPerDay = 1.0 / 24;

struct Entry {
  float value;
  float weight;
  int day;
};

// The days of a window, and what each slot of them held.
class DayTable {
 public:
  explicit DayTable(const SlotQuantiles::Input& input)
      : input_(input),
        first_day_(FloorDivide(input.first, input.shape->day)),
        days_(static_cast<int>(FloorDivide(input.end - 1, input.shape->day) - first_day_) + 1) {
    const int reach =
        std::max(0, static_cast<int>(std::lround(input.shape->day * kReachPerDay)) - 1);
    offsets_ = {-reach, 0, reach};
    std::sort(offsets_.begin(), offsets_.end());
    offsets_.erase(std::unique(offsets_.begin(), offsets_.end()), offsets_.end());
    for (int k = 0; k < days_; ++k) {
      weights_.push_back(static_cast<float>(std::exp2((k + 1 - days_) / kDayHalfLife)));
      ++counts_[static_cast<size_t>(Type(k))];
    }
  }

  int days() const { return days_; }
  int64_t first_day() const { return first_day_; }
  int Type(int k) const { return input_.types.TypeOf(first_day_ + k); }
  int Count(int type) const { return counts_[static_cast<size_t>(type)]; }

  // The entries of a slot that stand for `type` when it has `days_of_type` days, rising.
  void Collect(int type, int days_of_type, int slot, std::vector<Entry>& entries) const {
    const int day = input_.shape->day;
    entries.clear();
    for (int k = 0; k < days_; ++k) {
      if (days_of_type >= kTypeDaysMin && Type(k) != type) continue;
      for (const int offset : offsets_) {
        const int near = ((slot + offset) % day + day) % day;  // Of the same day.
        const int64_t cell = (first_day_ + k) * day + near;
        if (cell < input_.first || cell >= input_.end) continue;
        entries.push_back(
            {.value = input_.series(cell), .weight = weights_[static_cast<size_t>(k)], .day = k});
      }
    }
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.value < b.value; });
  }

 private:
  const SlotQuantiles::Input& input_;
  int64_t first_day_;
  int days_;
  std::vector<int> offsets_;
  std::vector<float> weights_;
  std::array<int, 2> counts_{};
};

// The first value at which the weights of those that are not of day `without` reach each level.
template <typename LevelOf>
void Quantiles(std::span<const Entry> entries, int without, size_t levels, const LevelOf& level_of,
               float* out) {
  float total = 0;
  for (const Entry& entry : entries) total += entry.day != without ? entry.weight : 0;
  float sum = 0;
  float value = 0;
  size_t next = 0;
  for (const Entry& entry : entries) {
    if (entry.day == without) continue;
    sum += entry.weight;
    value = entry.value;
    while (next < levels && sum >= static_cast<float>(level_of(next)) * total) out[next++] = value;
  }
  while (next < levels) out[next++] = value;
}

}  // namespace

SlotQuantiles::SlotQuantiles(const Input& input) {
  const DayTable days(input);
  std::vector<Entry> entries;
  for (int type = 0; type < 2; ++type) {
    auto& table = table_[static_cast<size_t>(type)];
    table.resize(static_cast<size_t>(input.shape->day));
    for (int slot = 0; slot < input.shape->day; ++slot) {
      days.Collect(type, days.Count(type), slot, entries);
      Quantiles(
          entries, -1, kLevels.size(), [](size_t i) { return kLevels[i]; },
          table[static_cast<size_t>(slot)].data());
    }
  }
}

SlotQuantiles::Judged SlotQuantiles::LeaveOneOut(const Input& input, const BackTest& test) {
  const DayTable days(input);
  const int day = input.shape->day;
  const bool leave_out = input.end - input.first >= kLeaveOutDaysMin * day;
  const int64_t lead = input.first - days.first_day() * day;
  Judged cache(static_cast<Eigen::Index>(days.days()) * day, static_cast<int>(kJudged.size()));
  std::vector<Entry> entries;
  for (int type = 0; type < 2; ++type) {
    if (days.Count(type) == 0) continue;
    for (int slot = 0; slot < day; ++slot) {
      days.Collect(type, days.Count(type) - 1, slot, entries);
      for (int k = 0; k < days.days(); ++k) {
        if (days.Type(k) != type) continue;
        Quantiles(
            entries, leave_out ? k : -1, kJudged.size(),
            [](size_t i) { return kLevels[kJudged[i]]; },
            cache.row(static_cast<Eigen::Index>(k) * day + slot).data());
      }
    }
  }
  Judged judged(test.rows(), static_cast<int>(kJudged.size()));
  for (int row = 0; row < test.rows(); ++row) {
    judged.row(row) = cache.row(lead + test.target[static_cast<size_t>(row)]);
  }
  return judged;
}

int64_t SlotQuantiles::Bytes() const {
  return static_cast<int64_t>(sizeof(*this) + 2 * sizeof(LevelArray) * table_[0].size());
}

}  // namespace shadow
