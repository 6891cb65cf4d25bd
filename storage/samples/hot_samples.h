// The samples that are in no chunk yet, by pool: the rows of `samples`, in memory.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "storage/samples/timed_value.h"

namespace shadow::storage {

// Thread-safe. Changed by the writer thread alone, always after the commit that makes the same
// change on disk. So a reader who looks here first and at the chunks then misses no sample; it may
// meet one twice.
class HotSamples {
 public:
  // `samples` by ascending, distinct times; they replace those of their times.
  void Put(int64_t series, std::span<const TimedValue> samples);

  void Drop(int64_t series);

  // Those that have samples older than `time_ns`.
  std::vector<int64_t> SeriesBefore(int64_t time_ns) const;

  size_t Count(int64_t series) const;

  // Those in (after_ns, until_ns], by time.
  std::vector<TimedValue> Copy(int64_t series, int64_t after_ns, int64_t until_ns) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<int64_t, std::vector<TimedValue>> series_;  // Each by time.
};

}  // namespace shadow::storage
