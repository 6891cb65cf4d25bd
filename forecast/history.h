// The recent demand series, one value a step, in a ring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace shadow {

inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

// Steps are numbered by an index that grows by one a step; any origin will do. A missing step is
// NaN. Not thread-safe. Memory: `capacity` doubles, allocated at once.
class History {
 public:
  // `capacity`: steps that are kept, at least 1.
  explicit History(int64_t capacity);

  // The step after the last one. `value` may be NaN. The oldest step is forgotten when the ring is
  // full.
  void Push(double value);

  // Forgets every step; the next Push is step `next`.
  void Reset(int64_t next);

  // NaN for a missing step and for all steps outside the ring.
  double At(int64_t index) const {
    if (index < next_ - size_ || index >= next_) return kMissing;
    const int64_t back = next_ - index;  // 1 to size_.
    return values_[static_cast<size_t>(head_ >= back ? head_ - back : head_ - back + capacity())];
  }

  int64_t next() const { return next_; }    // Index of the step that Push adds.
  int64_t size() const { return size_; }    // Steps kept, missing ones included.
  int64_t count() const { return count_; }  // Of them, those that hold a value.
  int64_t capacity() const { return static_cast<int64_t>(values_.size()); }

 private:
  std::vector<double> values_;
  int64_t head_ = 0;  // Where the next value goes.
  int64_t next_ = 0;
  int64_t size_ = 0;
  int64_t count_ = 0;
};

}  // namespace shadow
