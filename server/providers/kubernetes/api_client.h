// Speaks with the API server of a cluster, over HTTP/2 where it has it. What it answers is bounded
// in bytes and in time.
//
// Codes of errors: kUnauthenticated 401, kPermissionDenied 403 (also of an admission webhook that
// says no), kNotFound 404, kAlreadyExists and kAborted 409, kOutOfRange 410, kInvalidArgument 400
// and 422, kResourceExhausted 429 and a quota that is full, kUnavailable 5xx, no connection or an
// answer that is none, kDeadlineExceeded no answer in time.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/providers/kubernetes/api_place.h"

namespace shadow {

using Json = nlohmann::json;

inline constexpr char kMergePatch[] = "application/merge-patch+json";
inline constexpr char kStrategicPatch[] = "application/strategic-merge-patch+json";

struct ApiRequest {
  std::string method = "GET";
  std::string path;  // "/api/v1/namespaces/default/pods?limit=1"
  std::optional<Json> body = std::nullopt;
  std::string content_type = "application/json";  // Of the body.
  // All tries together: after a 401 with a new token, after a 429 when its Retry-After is over. A
  // pause of a 429 that would not end in time is an error at once.
  absl::Duration timeout = absl::Milliseconds(1800);
};

// Thread-safe.
class ApiClient {
 public:
  static constexpr size_t kAnswerMaxBytes = 32 << 20;
  static constexpr size_t kLineMaxBytes = 4 << 20;  // An object has 1.5 MiB at most.

  // `clock` must outlive this, and be a real one.
  ApiClient(ApiPlace place, Clock& clock);
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;
  ~ApiClient();

  const ApiPlace& place() const { return place_; }

  // The object in the answer. A call that failed without an answer may have been carried out.
  absl::StatusOr<Json> Call(const ApiRequest& request);

  // GETs `path` and gives each line of the answer to `line`, which returns whether it goes on,
  // until the server ends it (OK), `line` or `stop` do (kCancelled), or `longest` has passed. An
  // answer may stay silent all that time, but for a peer that is gone, which the kernel finds
  // within half a minute.
  absl::Status Stream(const std::string& path, absl::Duration longest,
                      const std::function<bool(std::string_view line)>& line,
                      const std::stop_token& stop);

 private:
  class Connection;  // One of libcurl.
  struct Answer;

  std::unique_ptr<Connection> Take();
  void Return(std::unique_ptr<Connection> connection);
  // Empty where none is wanted. `fresh`: read it again, whatever is known.
  absl::StatusOr<std::string> Token(bool fresh);
  absl::StatusOr<Answer> Try(const ApiRequest& request, absl::Duration timeout, bool fresh_token);

  const ApiPlace place_;
  Clock& clock_;
  std::mutex mutex_;  // Guards what follows.
  std::vector<std::unique_ptr<Connection>> idle_;
  std::string token_;
  std::optional<absl::Duration> token_read_;  // Monotonic.
  absl::Duration paused_until_;               // Monotonic; by a 429.
};

}  // namespace shadow
