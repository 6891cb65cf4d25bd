// What goes into the rows of state.db, and the times and names that both files have in common.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"
#include "shadow/v1/record.pb.h"
#include "storage/sqlite.h"

namespace shadow::storage {

// `resources.kind`. Stored: never renumbered.
enum class ResourceKind : int64_t {
  kDna = 1,
  kPool = 2,
  kShadow = 3,
  kInstance = 4,
  kForecaster = 5
};

// Nanoseconds since the Unix epoch, at the ends of the range (years 1677 and 2262) if beyond.
int64_t ToNanos(const google::protobuf::Timestamp& time);
int64_t ToNanos(absl::Time time);
google::protobuf::Timestamp FromNanos(int64_t time_ns);

// What would make a batch fail whatever the store holds. kInvalidArgument: a record without its
// name, id or revision, or a sample that is not finite.
absl::Status CheckBatch(const v1::WriteBatch& batch);

// "pools/web", and nothing below it.
bool IsPoolName(std::string_view name);

bool ErasesPool(const v1::WriteBatch& batch);

// Whether anything of it goes to state.db.
bool HasState(const v1::WriteBatch& batch);

// The writing statements of state.db. Writer thread only; `state` must outlive it.
class StateTables {
 public:
  static absl::StatusOr<StateTables> Prepare(Connection& state);

  // Within a transaction. kInvalidArgument: an event revision or a decision id that is there
  // already; nothing of the batch is kept then, and the transaction goes on. Other errors: roll it
  // back.
  absl::Status Apply(const v1::WriteBatch& batch);

 private:
  absl::Status ApplyAll(const v1::WriteBatch& batch);
  absl::Status PutResources(const v1::WriteBatch& batch);
  absl::Status Put(std::string_view name, ResourceKind kind, std::string_view record);

  Statement put_;
  Statement erase_;
  Statement add_event_;
  Statement add_decision_;
  Statement put_request_;
  Statement put_epoch_;
  Statement savepoint_;
  Statement release_;
  Statement undo_;
};

}  // namespace shadow::storage
