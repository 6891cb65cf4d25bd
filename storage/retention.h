// Removes what is older than its retention, a slice at a time.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/samples/hot_samples.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace shadow::storage {

inline constexpr int64_t kSliceRowsMax = 10'000;
inline constexpr int64_t kSliceChunksMax = 1'000;  // Of some 500 bytes each.

// Writer thread only; the connections and `hot` must outlive it.
class Retention {
 public:
  Retention(Connection& state, Connection& metrics, HotSamples& hot, const Store::Options& options)
      : state_(state), metrics_(metrics), hot_(hot), options_(options) {}

  // Removes at most kSliceRowsMax rows (kSliceChunksMax chunks) of one table, in a transaction of
  // its own. False: nothing is left to remove. Events and decisions go from the oldest on, without
  // gaps: where the wall clock was set back, one goes with the last of its neighbours to expire
  // within a slice.
  absl::StatusOr<bool> RemoveSlice(absl::Time now);

 private:
  absl::StatusOr<bool> RemoveNumbered(const char* find, const char* remove, const char* note,
                                      absl::Time before);

  Connection& state_;
  Connection& metrics_;
  HotSamples& hot_;
  const Store::Options options_;
};

}  // namespace shadow::storage
