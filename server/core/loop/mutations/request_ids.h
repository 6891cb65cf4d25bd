// A second request with the id of a first gets the first answer. Control thread only.
#pragma once

#include <optional>
#include <string>

#include "server/core/loop/changes.h"
#include "server/core/loop/mutations/request.h"

namespace shadow {

// What makes a request one: empty where it carries no id.
std::string RequestIdOf(const Request& request);
bool ValidateOnly(const Request& request);

// kInvalidArgument: longer than 128 bytes, or not printable ASCII.
absl::Status CheckRequestId(const std::string& request_id);

// The first answer to `request_id`, or nothing. kAlreadyExists: that was another request.
std::optional<Answer> Remembered(const World& world, const Request& request,
                                 const std::string& request_id);

// Keeps `answer` with the change that it answers.
void Remember(Changes& changes, const Request& request, const std::string& request_id,
              const google::protobuf::Message& answer);

// Forgets what has been remembered for longer than kRequestRetention, and the oldest beyond
// kRequestsMax. `now`: monotonic, so that no jump of the wall clock forgets one.
void ForgetOldRequests(World& world, absl::Duration now);

inline constexpr size_t kRequestsMax = 100'000;
inline constexpr absl::Duration kRequestRetention = absl::Hours(24);

}  // namespace shadow
