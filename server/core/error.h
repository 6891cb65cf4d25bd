// Errors that carry a field and a reason, so that the edge can attach BadRequest and ErrorInfo to
// them.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace shadow {

// "<field>: <problem>", with the field as payload kFieldPayload.
// FieldError("pool.policy.service_level", "1.5 is not in (0, 1)")
absl::Status FieldError(std::string_view field, std::string_view problem,
                        absl::StatusCode code = absl::StatusCode::kInvalidArgument);

// A state or conflict error with ErrorInfo.reason `reason` (UPPER_SNAKE_CASE).
absl::Status ReasonError(absl::StatusCode code, std::string_view reason, std::string_view message);

// kNotFound: there is no pool of this name.
absl::Status PoolNotFound(std::string_view name);

// kNotFound: there is no instance of this name, or no longer.
absl::Status InstanceNotFound(std::string_view name);

// Whether a look at something that a DNA names has failed for want of the host's memory or
// descriptors, which says nothing of it. A bad disk (EIO) is a fact of it.
bool IsPassing(const absl::Status& status);

// The payloads; empty where there is none.
std::string ErrorField(const absl::Status& status);
std::string ErrorReason(const absl::Status& status);

}  // namespace shadow
