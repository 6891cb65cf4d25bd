// Leads are pooled in buckets; quantiles are kept at a few probabilities.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

namespace shadow {

// Upper ends of the buckets, in days. The last one takes the rest.
inline constexpr std::array<double, 7> kBucketEnds = {1.0 / 96,  1.0 / 24, 3.0 / 24, 6.0 / 24,
                                                      12.0 / 24, 1.0,      1e9};
inline constexpr size_t kBuckets = kBucketEnds.size();

// Of a forecast `lead` >= 1 cells ahead. Worked: 12 cells of 288 a day are 1/24 of a day: bucket 1.
inline size_t BucketOf(int lead, int day) {
  size_t bucket = 0;
  while (bucket + 1 < kBuckets && kBucketEnds[bucket] * day < lead - 1e-9) ++bucket;
  return bucket;
}

// What fitted quantiles are kept at; others are interpolated (quantile_levels.h).
inline constexpr std::array<double, 11> kLevels = {0.01, 0.05, 0.1,  0.25, 0.5, 0.7,
                                                   0.8,  0.9,  0.95, 0.98, 0.99};
inline constexpr size_t kMedian = 4;

// Those of them that experts are judged by: a planner asks for the median and above.
inline constexpr std::array<size_t, 5> kJudged = {4, 6, 7, 8, 10};

using LevelArray = std::array<float, kLevels.size()>;

}  // namespace shadow
