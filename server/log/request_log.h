// The log's lines of requests that change something: who asked for what, and what came of it.
#pragma once

#include <sys/types.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "server/core/clock.h"

namespace shadow {

// Who asks; both unset: not known any more.
struct Requester {
  std::optional<uid_t> uid = {};
  std::string certificate = {};  // Over TCP: a name in it.
};

// Thread-safe.
class RequestLog {
 public:
  // Callers who are refused cannot fill the log: of each it has one line in this time.
  static constexpr absl::Duration kRefusedInterval = absl::Seconds(1);
  static constexpr size_t kRefusedMax = 1024;  // Whose last line is remembered.

  // `clock` must outlive it.
  explicit RequestLog(Clock& clock) : clock_(clock) {}

  // "UpdatePool: OK pool=web uid=0 request_id=r-1", or "UpdatePool: INVALID_ARGUMENT (pool.step)
  // pool=web uid=0". To be called once, when the answer is durable or the request is refused. Of
  // the request it has the type, and the name and the request id if they are well-formed: no text
  // that a caller has chosen freely. For log_level "debug" alone: what was only checked, and
  // samples.
  void Write(const Requester& requester, const google::protobuf::Message& request,
             const absl::Status& status);

 private:
  bool MayTellOf(const Requester& refused);

  Clock& clock_;
  std::mutex mutex_;
  // Under it; monotonic times, by caller.
  std::map<std::pair<std::optional<uid_t>, std::string>, absl::Duration> told_at_;
};

}  // namespace shadow
