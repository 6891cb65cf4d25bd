// Which days are alike: working days and weekends, as the calendar says or as the series shows.
#pragma once

#include <cstdint>
#include <span>

namespace shadow {

// Days are numbered from 1970-01-01, a Thursday; other "days" than 24 h from the same instant.
// Type 1 is the weekend, two days in seven, moved back by `shift` days; else 0. `alike`: all are 0.
struct DayTypes {
  int shift = 0;
  bool alike = false;

  // Worked: 1970-01-03 is day 2, a Saturday: (2 + 3 + 0) mod 7 = 5, so 1.
  int TypeOf(int64_t day) const;
};

// One cell a value, oldest first; the first cell is `lead` cells into day `first_day`; NaN:
// missing. Candidates: the calendar weekend, all alike, the weekend moved by 1 to 6 days. Least
// mean distance of a day to the day of its type before it wins; all alike must be better than the
// calendar by 2 %, a moved weekend by 5 %. `calendar` false: all alike is what others must beat.
struct DayTypesInput {
  std::span<const float> cells;
  int day = 1;  // Cells.
  int lead = 0;
  int64_t first_day = 0;
  bool calendar = false;
  bool weekly = false;  // Moved weekends may be tried: seven days make a week.
};
DayTypes LearnDayTypes(const DayTypesInput& input);

}  // namespace shadow
