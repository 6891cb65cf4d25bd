#include "forecast/history.h"

#include <algorithm>

namespace shadow {

History::History(int64_t capacity)
    : values_(static_cast<size_t>(capacity)), missing_(static_cast<size_t>(capacity)) {}

void History::Put(float value, bool missing) {
  const auto at = static_cast<size_t>(head_);
  if (size_ == capacity() && !missing_[at]) --present_;
  if (!missing) ++present_;
  values_[at] = value;
  missing_[at] = missing;
  head_ = head_ + 1 == capacity() ? 0 : head_ + 1;
  ++next_;
  size_ = std::min(size_ + 1, capacity());
}

void History::Reset(int64_t next) {
  head_ = 0;
  next_ = next;
  size_ = 0;
  present_ = 0;
}

std::array<std::span<const float>, 2> History::Parts() const {
  const std::span values(values_);
  const auto head = static_cast<size_t>(head_);
  const auto newer = static_cast<size_t>(std::min(size_, head_));
  const auto older = static_cast<size_t>(size_) - newer;
  return {values.last(older), values.subspan(head - newer, newer)};
}

void History::PushLike(std::span<const int64_t> periods) {
  float stand_in = Filled(next_ - 1);
  for (const int64_t period : periods) {
    const int64_t like = next_ - period;
    if (period <= 0 || !Holds(like) || Missing(like)) continue;
    stand_in = Filled(like);
    break;
  }
  PushMissing(stand_in);
}

}  // namespace shadow
