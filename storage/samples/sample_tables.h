// What goes into metrics.db: new samples to `samples`, many of one pool to `chunks`.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shadow/v1/record.pb.h"
#include "storage/samples/chunk_table.h"
#include "storage/samples/hot_samples.h"
#include "storage/samples/timed_value.h"
#include "storage/sqlite.h"

namespace shadow::storage {

// Of one transaction that compacts.
inline constexpr size_t kCompactionRowsMax = 10'000;

// The writing statements of metrics.db. Writer thread only; `metrics` and `hot` must outlive it.
//
// A tick of many pools touches few pages in `samples`, whose order is by time, and many in
// `chunks`, whose order is by pool. So what is few goes to `samples` first, and into a chunk once a
// pool has enough for one. What is many at once goes into chunks directly.
class SampleTables {
 public:
  // Loads `hot`.
  static absl::StatusOr<SampleTables> Prepare(Connection& metrics, HotSamples& hot);

  // Within a transaction. Samples of one pool and time replace each other, the last one stays. A
  // pool that is erased leaves its samples to the retention, and none to a later one of its name.
  absl::Status Write(std::span<const v1::WriteBatch* const> batches);

  // Pools with rows older than `before_ns` become due for Compact, for only chunks are rolled up.
  // False: there are none.
  bool MakeOldDue(int64_t before_ns);

  bool CompactionIsDue() const { return !due_.empty(); }

  // Within a transaction. Moves the rows of some pools into chunks, at most about
  // kCompactionRowsMax rows.
  absl::Status Compact();

  // After the commit of either: shows it to the readers.
  void Committed();

  // After either has failed or was not committed: it can be tried again.
  void RolledBack();

 private:
  using Samples = std::map<int64_t, std::vector<TimedValue>>;  // By series.

  explicit SampleTables(HotSamples& hot) : hot_(&hot) {}

  absl::Status LoadHot(Connection& metrics);
  absl::StatusOr<int64_t> SeriesOf(const std::string& pool);
  absl::Status Retire(const std::string& pool);
  absl::StatusOr<Samples> Collect(std::span<const v1::WriteBatch* const> batches);
  absl::Status PutRows(const Samples& samples);
  absl::Status RemoveRows(const Samples& samples);
  absl::Status AddToChunks(int64_t series, std::span<const TimedValue> samples, Samples& moved);

  HotSamples* hot_;  // Never null; a pointer so that this can be moved.
  ChunkTable chunks_;
  Statement put_series_;
  Statement retire_series_;
  Statement put_row_;
  Statement remove_row_;
  std::unordered_map<std::string, int64_t> series_;  // Of pools that had samples lately.
  std::set<int64_t> due_;                            // Series with enough rows for a chunk.
  int64_t compacted_ = 0;                            // The last series that was, of this round.

  // What Committed does, and RolledBack forgets.
  Samples put_;
  std::vector<int64_t> dropped_;
};

}  // namespace shadow::storage
