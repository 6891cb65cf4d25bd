// Turns samples that are too old for their resolution into those of the next coarser one.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/samples/chunk_table.h"
#include "storage/samples/resolutions.h"
#include "storage/samples/timed_value.h"
#include "storage/sqlite.h"

namespace shadow::storage {

inline constexpr size_t kRollUpChunksMax = 500;  // Of one call.

// Writer thread only; `metrics` must outlive it.
class RollUps {
 public:
  static absl::StatusOr<RollUps> Prepare(Connection& metrics);

  // Within a transaction. Takes one series that has a chunk of kResolutions[resolution] of which
  // every sample is older than `before_ns`, and makes of all its samples older than that those of
  // the next resolution; after the last resolution they are removed. A chunk that cannot be read is
  // removed. Those of pools that are gone leave nothing. The number of chunks that it took; 0:
  // there is no such series.
  absl::StatusOr<size_t> Expire(size_t resolution, int64_t before_ns);

 private:
  struct Level {
    ChunkTable chunks;
    Statement find;
    Statement read;
    Statement remove;
  };
  // The chunks of a series that begin before a time, from the oldest on.
  struct Old {
    std::vector<int64_t> ids;
    std::vector<TimedValue> samples;
  };

  absl::StatusOr<Old> ReadOld(Level& level, int64_t series, int64_t before_ns);

  std::array<Level, kResolutions.size()> levels_;
};

}  // namespace shadow::storage
