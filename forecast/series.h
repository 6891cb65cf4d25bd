// A history in units of its own mean: what all fits and features compute with.
#pragma once

#include <cstdint>

#include "forecast/history.h"

namespace shadow {

// `history` must outlive this. Cells must be held by it.
struct Series {
  const History* history;
  float scale;  // 1 / unit of the model.

  float operator()(int64_t cell) const { return history->Filled(cell) * scale; }
};

// a / b rounded down, for b > 0.
inline int64_t FloorDivide(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

}  // namespace shadow
