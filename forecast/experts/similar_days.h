// Analogue forecast: past days, weighted by how well the hours up to now match those on that day.
#pragma once

#include <array>
#include <cstdint>

#include "forecast/experts/day_types.h"
#include "forecast/series.h"

namespace shadow {

inline constexpr int kSimilarDaysMax = 28;

// With D cells a day, seen from cell o - 1, cell t = o + h - 1 is forecast as
//   y(t) = sum_k w_k [ x(t - kD) + s_k 2^(-h/D) ] / sum_k w_k,   k = 1, 2, ..., kD >= h
//   w_k  = exp(-4 (m_k / min m - 1)) 0.97^k, x 1/4 if the day is of another type, x 1.5 if k is a
//          whole number of weeks
// s_k: exponentially weighted mean of x(i) - x(i - kD), half-life D/96. m_k: the same of
// |x(i) - x(i - kD) - s_k|, s_k from before cell i, half-life D/10: a day of the same course at
// another level is alike. Source: nearest-neighbour load forecasting, A. Troncoso Lora et al.,
// Electricity Market Price Forecasting Based on Weighted Nearest Neighbors Techniques, IEEE Trans.
// Power Systems 22 (2007). One owner at a time; Push takes O(kSimilarDaysMax).
class SimilarDays {
 public:
  struct Setup {
    int day = 1;        // Cells.
    int week_days = 0;  // Days; 0: none.
    int64_t first = 0;  // The first cell that Push will see.
    DayTypes types;
  };
  explicit SimilarDays(const Setup& setup);

  // Takes in cell `t`, the one after the last.
  void Push(const Series& series, int64_t t);

  // Prepares forecasts from here, the last cell seen being `origin - 1`.
  void SetOrigin(int64_t origin);

  // Forecast of cell `t` >= origin after SetOrigin; `t` rising from call to call is fastest.
  // NaN: there is no day to go by.
  float At(const Series& series, int64_t t);

 private:
  using Days = std::array<float, kSimilarDaysMax>;

  void PrepareDay(int64_t day, int nearest);

  Setup setup_;
  float match_decay_;
  float level_decay_;
  Days match_{};  // m_k
  Days shift_{};  // s_k
  int64_t origin_ = 0;
  int known_ = 0;    // Days whose match is known at the origin.
  Days base_{};      // w_k without the type of the day.
  int64_t day_ = 0;  // What weights_ are for.
  int nearest_ = 0;
  Days weights_{};  // w_k / sum w
  float fade_ = 0;  // sum w_k s_k / sum w
};

}  // namespace shadow
