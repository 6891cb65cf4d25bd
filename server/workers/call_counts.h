// How many calls went to each seam, how they ended and how long they took.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "server/core/effects/effect_kind.h"

namespace shadow {

// Thread-safe. Each figure for itself: a reader may see a call counted in one and not yet in
// another.
class CallCounts {
 public:
  static constexpr size_t kKinds = static_cast<size_t>(EffectKind::kLearn) + 1;
  // Upper bounds of the buckets, in seconds; one more has the rest.
  static constexpr std::array<double, 10> kBounds = {0.001, 0.005, 0.01, 0.05, 0.1,
                                                     0.5,   1,     2,    5,    10};

  struct OfKind {
    std::array<std::atomic<int64_t>, kBounds.size() + 1> buckets = {};  // Not cumulative.
    std::atomic<int64_t> nanoseconds = 0;                               // Of all calls.
    std::atomic<int64_t> errors = 0;
  };

  void Add(EffectKind kind, absl::Duration took, bool ok);

  const OfKind& of(EffectKind kind) const { return kinds_[static_cast<size_t>(kind)]; }

 private:
  std::array<OfKind, kKinds> kinds_;
};

}  // namespace shadow
