// One sample as the store handles it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace shadow::storage {

struct TimedValue {
  int64_t time_ns = 0;  // Since the Unix epoch.
  double value = 0;

  bool operator==(const TimedValue&) const = default;
};

// Both by ascending, distinct times. Where both have a time, `newer` counts.
inline std::vector<TimedValue> Merge(std::span<const TimedValue> older,
                                     std::span<const TimedValue> newer) {
  std::vector<TimedValue> merged;
  merged.reserve(older.size() + newer.size());
  auto old = older.begin();
  for (const TimedValue& sample : newer) {
    while (old != older.end() && old->time_ns < sample.time_ns) merged.push_back(*old++);
    if (old != older.end() && old->time_ns == sample.time_ns) ++old;
    merged.push_back(sample);
  }
  merged.insert(merged.end(), old, older.end());
  return merged;
}

}  // namespace shadow::storage
