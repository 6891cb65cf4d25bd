#include "forecast/history.h"

#include <cmath>

namespace shadow {

History::History(int64_t capacity) : values_(static_cast<size_t>(capacity), kMissing) {}

void History::Push(double value) {
  double& place = values_[static_cast<size_t>(head_)];
  if (size_ == capacity()) {
    count_ -= std::isnan(place) ? 0 : 1;
  } else {
    ++size_;
  }
  place = value;
  count_ += std::isnan(value) ? 0 : 1;
  head_ = head_ + 1 == capacity() ? 0 : head_ + 1;
  ++next_;
}

void History::Reset(int64_t next) {
  head_ = 0;
  next_ = next;
  size_ = 0;
  count_ = 0;
}

}  // namespace shadow
