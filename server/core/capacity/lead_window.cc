#include "server/core/capacity/lead_window.h"

#include <algorithm>

#include "forecast/need/need_signals.h"
#include "server/core/check.h"

namespace shadow {

void LeadWindow::Push(int want) {
  CHECK(want >= 0 && want <= kNeedMax);
  if (first_) std::fill(wants_.begin(), wants_.end(), want);
  first_ = false;
  wants_[next_] = want_ = want;
  next_ = (next_ + 1) % wants_.size();
}

int LeadWindow::ready() const { return *std::min_element(wants_.begin(), wants_.end()); }

void LeadWindow::Save(SavedWriter& writer) const {
  writer.U8(first_ ? 1 : 0);
  writer.U32(static_cast<uint32_t>(want_));
  writer.U32(static_cast<uint32_t>(next_));
  for (const int32_t want : wants_) writer.U32(static_cast<uint32_t>(want));
}

bool LeadWindow::Restore(SavedReader& reader) {
  first_ = reader.U8() != 0;
  const uint32_t newest = reader.U32();
  next_ = reader.U32();
  bool fits = newest <= kNeedMax && next_ < wants_.size();
  want_ = static_cast<int>(newest);
  for (int32_t& want : wants_) {
    const uint32_t saved = reader.U32();
    fits = fits && saved <= kNeedMax;
    want = static_cast<int32_t>(saved);
  }
  return fits && reader.ok();
}

}  // namespace shadow
