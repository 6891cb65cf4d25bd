// What becomes of samples as they age: kept as they came, then as means of 5 minutes, then of
// hours.
#pragma once

#include <array>
#include <cstdint>

namespace shadow::storage {

struct Resolution {
  const char* table;  // Of chunks.
  int64_t bucket_ns;  // Each sample is the mean of one; 0: as it came.
};

// From fine to coarse.
inline constexpr std::array<Resolution, 3> kResolutions = {{
    {.table = "chunks", .bucket_ns = 0},
    {.table = "chunks_5m", .bucket_ns = int64_t{300} * 1'000'000'000},
    {.table = "chunks_1h", .bucket_ns = int64_t{3600} * 1'000'000'000},
}};

// Where the bucket begins that `time_ns` is in; also of times before the epoch.
constexpr int64_t BucketOf(int64_t time_ns, int64_t bucket_ns) {
  const int64_t into = time_ns % bucket_ns;
  return time_ns - (into < 0 ? into + bucket_ns : into);
}

}  // namespace shadow::storage
