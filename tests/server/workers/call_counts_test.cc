#include "server/workers/call_counts.h"

#include <catch2/catch.hpp>
#include <cstdint>

namespace shadow {

TEST_CASE("calls are counted by kind, by their outcome and by how long they took") {
  CallCounts counts;
  counts.Add(EffectKind::kCreate, absl::Milliseconds(1), true);  // A bound is in its bucket.
  counts.Add(EffectKind::kCreate, absl::Milliseconds(2), false);
  counts.Add(EffectKind::kCreate, absl::Seconds(60), true);
  counts.Add(EffectKind::kLearn, absl::ZeroDuration(), true);
  const CallCounts::OfKind& create = counts.of(EffectKind::kCreate);
  CHECK(create.buckets[0] == 1);
  CHECK(create.buckets[1] == 1);
  CHECK(create.buckets.back() == 1);
  CHECK(create.errors == 1);
  CHECK(create.nanoseconds == 60'003'000'000);
  CHECK(counts.of(EffectKind::kLearn).buckets[0] == 1);
  CHECK(counts.of(EffectKind::kLearn).errors == 0);
  CHECK(counts.of(EffectKind::kSuspend).nanoseconds == 0);
}

}  // namespace shadow
