#include "server/core/capacity/newsvendor.h"

#include <algorithm>
#include <limits>

#include "server/core/check.h"

namespace shadow {

StepCosts::StepCosts(std::span<const float> mass) : cells_(static_cast<int>(mass.size())) {
  CHECK(mass.size() <= idle_.size());
  // From one cell to the next the count grows by that one's width, and idle by that much in all
  // cases that were covered before.
  float covered = 0;
  float idle = 0;
  for (int cell = 0; cell < cells_; ++cell) {
    const auto at = static_cast<size_t>(cell);
    if (cell > 0) idle += covered * static_cast<float>(NeedScale::Width(cell));
    covered += mass[at];
    idle_[at] = idle;
    miss_[at] = std::max(0.0F, 1 - covered);
  }
  if (cells_ > 0) miss_[static_cast<size_t>(cells_) - 1] = 0;  // Rounding's rest.
  float shortage = 0;
  for (int cell = cells_ - 1; cell >= 0; --cell) {
    const auto at = static_cast<size_t>(cell);
    if (cell < cells_ - 1) shortage += miss_[at] * static_cast<float>(NeedScale::Width(cell + 1));
    shortage_[at] = shortage;
  }
}

int StepCosts::Cheapest(const CapacityPrices& prices, int wanted, int lowest) const {
  const auto shortage = static_cast<float>(prices.shortage);
  const auto miss = static_cast<float>(prices.miss);
  const auto launch = static_cast<float>(prices.launch);
  float least = std::numeric_limits<float>::infinity();
  int cheapest = 0;
  for (int cell = NeedScale::CellOf(lowest); cell < cells_; ++cell) {
    const auto at = static_cast<size_t>(cell);
    if (idle_[at] >= least) break;  // It only grows, and nothing else is below 0.
    const int count = NeedScale::Highest(cell);
    const float launches = static_cast<float>(std::max(0, count - wanted));
    const float cost = idle_[at] + shortage * shortage_[at] + miss * miss_[at] + launch * launches;
    if (cost < least) {
      least = cost;
      cheapest = count;
    }
  }
  return cheapest;
}

}  // namespace shadow
