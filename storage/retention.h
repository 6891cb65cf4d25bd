// Removes what is older than its retention, a slice at a time.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace shadow::storage {

inline constexpr int64_t kSliceRowsMax = 10'000;

// Writer thread only; both connections must outlive it.
class Retention {
 public:
  Retention(Connection& state, Connection& metrics, const Store::Options& options)
      : state_(state), metrics_(metrics), options_(options) {}

  // Removes at most kSliceRowsMax rows of one table, in a transaction of its own. False: nothing is
  // left to remove. Events and decisions go from the oldest on, without gaps: where the wall clock
  // was set back, one goes with the last of its neighbours to expire within a slice.
  absl::StatusOr<bool> RemoveSlice(absl::Time now);

 private:
  absl::StatusOr<bool> RemoveNumbered(const char* find, const char* remove, const char* note,
                                      absl::Time before);

  Connection& state_;
  Connection& metrics_;
  const Store::Options options_;
};

}  // namespace shadow::storage
