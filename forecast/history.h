// The recent demand series, one value a cell, in a ring.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace shadow {

inline constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

// Cells are numbered by an index that grows by one a cell; any origin will do. A missing cell holds
// a stand-in. Not thread-safe. Memory: `capacity` x 4 bytes and a bit, allocated at once.
class History {
 public:
  // `capacity`: cells that are kept, at least 1.
  explicit History(int64_t capacity);

  // The cell after the last one, with its value. The oldest cell is forgotten when the ring is
  // full.
  void Push(float value) { Put(value, false); }

  // The cell after the last one has no value; `stand_in` is what profiles take it for.
  void PushMissing(float stand_in) { Put(stand_in, true); }

  // The cell after the last one has no value and takes that of the first of the cells that many
  // `periods` before it that holds one; else of the cell before. It must hold a cell.
  void PushLike(std::span<const int64_t> periods);

  // Forgets every cell; the next Push is cell `next`.
  void Reset(int64_t next);

  bool Holds(int64_t index) const { return index >= first() && index < next_; }

  // Value or stand-in of a cell that it holds.
  float Filled(int64_t index) const { return values_[Slot(index)]; }

  // Those of all cells that it holds: of the older ones, then of the newer ones.
  std::array<std::span<const float>, 2> Parts() const;

  // Of a cell that it holds.
  bool Missing(int64_t index) const { return missing_[Slot(index)]; }

  int64_t first() const { return next_ - size_; }  // Index of the oldest cell.
  int64_t next() const { return next_; }           // Index of the cell that Push adds.
  int64_t size() const { return size_; }           // Cells kept, missing ones included.
  int64_t present() const { return present_; }     // Of them, those that hold a value.
  int64_t capacity() const { return static_cast<int64_t>(values_.size()); }
  int64_t Bytes() const {
    return capacity() * static_cast<int64_t>(sizeof(float)) + capacity() / 8;
  }

 private:
  void Put(float value, bool missing);
  size_t Slot(int64_t index) const {
    const int64_t back = next_ - index;  // 1 to size_.
    return static_cast<size_t>(head_ >= back ? head_ - back : head_ - back + capacity());
  }

  std::vector<float> values_;
  std::vector<bool> missing_;
  int64_t head_ = 0;  // Where the next value goes.
  int64_t next_ = 0;
  int64_t size_ = 0;
  int64_t present_ = 0;
};

}  // namespace shadow
