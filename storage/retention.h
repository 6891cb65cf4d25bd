// Removes what is older than its retention, or makes it coarser, a slice at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/retention_clock.h"
#include "storage/samples/roll_ups.h"
#include "storage/samples/sample_tables.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace shadow::storage {

inline constexpr int64_t kSliceRowsMax = 10'000;
inline constexpr size_t kSliceChunksMax = 1'000;  // Of some 500 bytes each.

// Writer thread only; the connections and `samples` must outlive it.
class Retention {
 public:
  static absl::StatusOr<std::unique_ptr<Retention>> Prepare(Connection& state, Connection& metrics,
                                                            SampleTables& samples);

  // Removes at most kSliceRowsMax rows of one table, or rolls up about
  // kSliceChunksMax chunks, in a transaction of its own. False: nothing is left to do. True may
  // also mean that a compaction has to come first. Ages count from a RetentionTime. Events and
  // decisions go from the oldest on, without gaps: one that expired waits for those before it that
  // have not, but not for those from the wall clock's future.
  absl::StatusOr<bool> RemoveSlice(const Store::Options& options, const ClockLook& now);

 private:
  struct Numbered;  // A table whose rows have ascending numbers.
  struct Expired;   // Which of them.

  Retention(Connection& state, Connection& metrics, SampleTables& samples, RollUps roll_ups,
            std::optional<RetentionTime> time)
      : state_(state),
        metrics_(metrics),
        samples_(samples),
        roll_ups_(std::move(roll_ups)),
        time_(std::move(time)) {}

  absl::Status Look(const ClockLook& now);
  absl::StatusOr<bool> RollUpSlice(size_t resolution, absl::Time before);
  absl::StatusOr<bool> RemoveNumbered(const Numbered& table, const Expired& expired);

  Connection& state_;
  Connection& metrics_;
  SampleTables& samples_;
  RollUps roll_ups_;
  std::optional<RetentionTime> time_;  // As it is stored.
};

}  // namespace shadow::storage
