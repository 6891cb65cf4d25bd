// The samples that are in no chunk yet, by pool: the rows of `samples`, in memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
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

  // Drops what is older than `time_ns`. Nothing older is shown from now on.
  void DropBefore(int64_t time_ns);

  size_t Count(int64_t series) const;

  // Those in (after_ns, until_ns], by time.
  std::vector<TimedValue> Copy(int64_t series, int64_t after_ns, int64_t until_ns) const;

  int64_t oldest_shown_ns() const { return oldest_shown_ns_; }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<int64_t, std::vector<TimedValue>> series_;  // Each by time.
  std::atomic<int64_t> oldest_shown_ns_ = std::numeric_limits<int64_t>::min();
};

}  // namespace shadow::storage
