// The log's lines of requests that change something: who asked for what, and what came of it.
#pragma once

#include <sys/types.h>

#include <map>
#include <mutex>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "server/core/clock.h"

namespace shadow {

// Thread-safe.
class RequestLog {
 public:
  // Callers who may change nothing cannot fill the log: of each it has one line in this time.
  static constexpr absl::Duration kReaderInterval = absl::Seconds(1);
  static constexpr size_t kReadersMax = 1024;  // Whose last line is remembered.

  // `clock` must outlive it.
  explicit RequestLog(Clock& clock) : clock_(clock) {}

  // "UpdatePool: OK pool=web uid=0 request_id=r-1", or "UpdatePool: INVALID_ARGUMENT (pool.step)
  // pool=web uid=0". To be called once, when the answer is durable or the request is refused. Of
  // the request it has the type, and the name and the request id if they are well-formed: no text
  // that a caller has chosen freely. For log_level "debug" alone: what was only checked, and
  // samples. `uid`: of the caller.
  void Write(std::optional<uid_t> uid, const google::protobuf::Message& request,
             const absl::Status& status);

 private:
  bool MayTellOf(uid_t reader);

  Clock& clock_;
  std::mutex mutex_;
  std::map<uid_t, absl::Duration> told_at_;  // Under it; monotonic.
};

}  // namespace shadow
