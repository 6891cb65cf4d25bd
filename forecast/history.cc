#include "forecast/history.h"

#include <algorithm>

namespace shadow {

History::History(int64_t capacity)
    : values_(static_cast<size_t>(capacity)), missing_(static_cast<size_t>(capacity)) {}

void History::Put(float value, bool missing) {
  values_[static_cast<size_t>(head_)] = value;
  missing_[static_cast<size_t>(head_)] = missing;
  head_ = head_ + 1 == capacity() ? 0 : head_ + 1;
  ++next_;
  size_ = std::min(size_ + 1, capacity());
}

void History::Reset(int64_t next) {
  head_ = 0;
  next_ = next;
  size_ = 0;
}

}  // namespace shadow
