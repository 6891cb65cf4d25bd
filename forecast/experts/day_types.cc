#include "forecast/experts/day_types.h"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace shadow {
namespace {

constexpr int kTypedDaysMin = 6;   // Before that the calendar's word counts.
constexpr int kShiftDaysMin = 14;  // Two weeks, for a moved weekend.
constexpr double kAlikeBetter = 0.98;
constexpr double kShiftBetter = 0.95;
constexpr int64_t kThursday = 3;  // 1970-01-01, Monday being 0.

// Distances of each day to the 1 to 7 days before it, NaN where there is too little in common.
class DayDistances {
 public:
  explicit DayDistances(const DayTypesInput& input)
      : days_((input.lead + static_cast<int>(input.cells.size()) + input.day - 1) / input.day),
        input_(input),
        good_(static_cast<size_t>(days_)),
        distances_(static_cast<size_t>(days_)) {
    for (int k = 0; k < days_; ++k) good_[static_cast<size_t>(k)] = IsGood(k);
    for (auto& row : distances_) row.fill(-1);
  }

  int days() const { return days_; }

  // Mean distance of a day to the latest one of its type within a week, else to the day before.
  double Cost(const DayTypes& types) {
    double sum = 0;
    int count = 0;
    for (int k = 1; k < days_; ++k) {
      if (!good_[static_cast<size_t>(k)]) continue;
      const int type = types.TypeOf(input_.first_day + k);
      int lag = 1;
      while (lag <= 7 && !(Good(k - lag) && types.TypeOf(input_.first_day + k - lag) == type))
        ++lag;
      if (lag > 7) lag = 1;
      if (!Good(k - lag)) continue;
      const double distance = Distance(k, lag);
      if (std::isnan(distance)) continue;
      sum += distance;
      ++count;
    }
    return count > 0 ? sum / count : 0;
  }

 private:
  bool Good(int k) const { return k >= 0 && good_[static_cast<size_t>(k)]; }

  float At(int k, int slot) const {
    const int at = k * input_.day + slot - input_.lead;
    if (at < 0 || at >= static_cast<int>(input_.cells.size())) {
      return std::numeric_limits<float>::quiet_NaN();
    }
    return input_.cells[static_cast<size_t>(at)];
  }

  bool IsGood(int k) const {
    int present = 0;
    for (int slot = 0; slot < input_.day; ++slot) present += !std::isnan(At(k, slot));
    return 2 * present >= input_.day;
  }

  double Distance(int k, int lag) {
    double& distance = distances_[static_cast<size_t>(k)][static_cast<size_t>(lag - 1)];
    if (distance >= 0 || std::isnan(distance)) return distance;
    double sum = 0;
    int count = 0;
    for (int slot = 0; slot < input_.day; ++slot) {
      const double difference = std::abs(At(k, slot) - At(k - lag, slot));
      if (std::isnan(difference)) continue;
      sum += difference;
      ++count;
    }
    distance = count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
    return distance;
  }

  int days_;
  const DayTypesInput& input_;
  std::vector<bool> good_;
  std::vector<std::array<double, 7>> distances_;
};

}  // namespace

int DayTypes::TypeOf(int64_t day) const {
  if (alike) return 0;
  const int64_t weekday = ((day + kThursday + shift) % 7 + 7) % 7;
  return weekday >= 5 ? 1 : 0;
}

DayTypes LearnDayTypes(const DayTypesInput& input) {
  const DayTypes alike = {.alike = true};
  DayTypes choice = input.calendar ? DayTypes{} : alike;
  DayDistances distances(input);
  if (distances.days() < kTypedDaysMin) return choice;
  double best = distances.Cost(choice);
  if (input.calendar) {
    const double cost = distances.Cost(alike);
    if (cost < kAlikeBetter * best) {
      best = cost;
      choice = alike;
    }
  }
  if (!input.weekly || distances.days() < kShiftDaysMin) return choice;
  for (int shift = input.calendar ? 1 : 0; shift < 7; ++shift) {
    const DayTypes moved = {.shift = shift};
    const double cost = distances.Cost(moved);
    if (cost < kShiftBetter * best) {
      best = cost;
      choice = moved;
    }
  }
  return choice;
}

}  // namespace shadow
