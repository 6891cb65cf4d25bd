#include "forecast/residual_window.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace shadow {

float ResidualWindow::Narrow(double residual) {
  constexpr double kMost = double{std::numeric_limits<float>::max()};
  return std::isnan(residual) ? std::numeric_limits<float>::quiet_NaN()
                              : static_cast<float>(std::clamp(residual, -kMost, kMost));
}

ResidualWindow::ResidualWindow(int64_t span, int64_t stride)
    : stride_(stride),
      ring_(static_cast<size_t>((span + stride - 1) / stride),
            std::numeric_limits<float>::quiet_NaN()) {
  sorted_.reserve(ring_.size());
}

size_t ResidualWindow::Slot(int64_t index) const {
  const auto size = static_cast<int64_t>(ring_.size());
  const int64_t slot = (index / stride_) % size;
  return static_cast<size_t>(slot < 0 ? slot + size : slot);
}

void ResidualWindow::Put(int64_t index, double residual) {
  float& place = ring_[Slot(index)];
  if (!std::isnan(place)) {
    sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), place));
  }
  place = Narrow(residual);
  if (!std::isnan(place)) {
    sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), place), place);
  }
}

void ResidualWindow::Clear() {
  std::fill(ring_.begin(), ring_.end(), std::numeric_limits<float>::quiet_NaN());
  sorted_.clear();
}

void ResidualWindow::SortRing() {
  std::copy_if(ring_.begin(), ring_.end(), std::back_inserter(sorted_),
               [](float residual) { return !std::isnan(residual); });
  std::sort(sorted_.begin(), sorted_.end());
}

double ResidualWindow::Quantile(double probability) const {
  if (sorted_.empty()) return 0;
  const double position = static_cast<double>(sorted_.size() + 1) * probability - 1;
  if (position <= 0) return double{sorted_.front()};
  const auto below = static_cast<size_t>(position);
  if (below + 1 >= sorted_.size()) return double{sorted_.back()};
  const double share = position - static_cast<double>(below);
  return (1 - share) * double{sorted_[below]} + share * double{sorted_[below + 1]};
}

}  // namespace shadow
