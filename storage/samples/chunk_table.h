// The writing side of a table of chunks: the samples of each pool, some hundred to a row.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/samples/timed_value.h"
#include "storage/sqlite.h"

namespace shadow::storage {

// What a chunk of a pool with enough samples has: this many, at least half of it, and at most half
// more.
inline constexpr size_t kChunkSamples = 240;

// Writer thread only; `metrics` must outlive it.
//
// Chunks of one series do not overlap in time. The exception is a damaged one: nothing can be
// added to it, so it stays as it is, and what comes later into its time gets chunks of its own.
class ChunkTable {
 public:
  // `table`: of kResolutions.
  static absl::StatusOr<ChunkTable> Prepare(Connection& metrics, const char* table);

  // Within a transaction. `samples` (by ascending, distinct times) are added to those of `series`
  // and replace those of their times. Costs as much as the chunks that they fall into.
  absl::Status Add(int64_t series, std::span<const TimedValue> samples);

 private:
  // The chunk that begins last of those up to a time.
  struct Chunk {
    bool exists = false;
    int64_t id = 0;
    int64_t last_ns = 0;
    std::string data;
  };

  absl::StatusOr<Chunk> FindBefore(int64_t series, int64_t time_ns);
  absl::StatusOr<std::span<const TimedValue>> UpToNextChunk(int64_t series,
                                                            std::span<const TimedValue> samples);
  absl::Status AddAfter(const Chunk& before, int64_t series, std::span<const TimedValue> samples);
  absl::Status Insert(int64_t series, std::span<const TimedValue> samples);

  Statement find_before_;
  Statement find_next_;
  Statement remove_;
  Statement insert_;
};

}  // namespace shadow::storage
