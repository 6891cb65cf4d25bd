// What the same time of day held on past days of the same type: quantiles without any model.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "forecast/mixture/back_test.h"
#include "forecast/series.h"

namespace shadow {

// Quantiles of the same slot +-1 h over past days of the same type, or of all days while that type
// has fewer than four; a day's weight halves every ten days. Source: the historical simulation of
// R. J. Hyndman and G. Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 5.5.
class SlotQuantiles {
 public:
  struct Input {
    const Shape* shape;
    Series series;
    int64_t first = 0;
    int64_t end = 0;
    DayTypes types;
  };
  explicit SlotQuantiles(const Input& input);

  const LevelArray& At(int type, int slot) const {
    return table_[static_cast<size_t>(type)][static_cast<size_t>(slot)];
  }

  int64_t Bytes() const;

  // For the back-test: the quantiles at kJudged of each row, its own day left out.
  using Judged = Eigen::Matrix<float, Eigen::Dynamic, kJudged.size(), Eigen::RowMajor>;
  static Judged LeaveOneOut(const Input& input, const BackTest& test);

 private:
  std::array<std::vector<LevelArray>, 2> table_;
};

}  // namespace shadow
