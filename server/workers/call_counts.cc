#include "server/workers/call_counts.h"

#include <algorithm>

namespace shadow {

void CallCounts::Add(EffectKind kind, absl::Duration took, bool ok) {
  OfKind& counts = kinds_[static_cast<size_t>(kind)];
  const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), absl::ToDoubleSeconds(took));
  counts.buckets[static_cast<size_t>(bucket - kBounds.begin())].fetch_add(
      1, std::memory_order_relaxed);
  counts.nanoseconds.fetch_add(absl::ToInt64Nanoseconds(took), std::memory_order_relaxed);
  if (!ok) counts.errors.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace shadow
