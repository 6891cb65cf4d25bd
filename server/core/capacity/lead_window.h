// From what was wanted to what is ready.
#pragma once

#include <cstdint>
#include <vector>

#include "forecast/saved_bytes.h"

namespace shadow {

// An instance is ready at a step if it was wanted throughout the lead before it and at it.
class LeadWindow {
 public:
  explicit LeadWindow(int lead_steps) : wants_(static_cast<size_t>(lead_steps) + 1) {}

  void Push(int want);  // At the next step, 0 to kNeedMax.
  int want() const { return want_; }
  // The least of the last lead + 1 wants; before the first step as much was wanted as at it.
  int ready() const;

  size_t StateBytes() const { return sizeof(*this) + wants_.size() * sizeof(int32_t); }
  void Save(SavedWriter& writer) const;
  bool Restore(SavedReader& reader);  // False: not from Save; this is in no usable state then.

 private:
  std::vector<int32_t> wants_;  // Ring.
  size_t next_ = 0;
  int want_ = 0;  // The newest.
  bool first_ = true;
};

}  // namespace shadow
