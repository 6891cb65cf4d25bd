#include "server/core/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr char kFieldPayload[] = "shadowd/field";
constexpr char kReasonPayload[] = "shadowd/reason";

std::string Payload(const absl::Status& status, const char* url) {
  const auto payload = status.GetPayload(url);
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace

absl::Status FieldError(std::string_view field, std::string_view problem, absl::StatusCode code) {
  absl::Status status(code, absl::StrCat(Absl(field), ": ", Absl(problem)));
  status.SetPayload(kFieldPayload, absl::Cord(Absl(field)));
  return status;
}

absl::Status ReasonError(absl::StatusCode code, std::string_view reason, std::string_view message) {
  absl::Status status(code, Absl(message));
  status.SetPayload(kReasonPayload, absl::Cord(Absl(reason)));
  return status;
}

absl::Status PoolNotFound(std::string_view name) {
  return ReasonError(absl::StatusCode::kNotFound, "POOL_NOT_FOUND",
                     absl::StrCat(Absl(name), " does not exist"));
}

absl::Status InstanceNotFound(std::string_view name) {
  return ReasonError(absl::StatusCode::kNotFound, "INSTANCE_NOT_FOUND",
                     absl::StrCat(Absl(name), " does not exist"));
}

bool IsPassing(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
}

std::string ErrorField(const absl::Status& status) { return Payload(status, kFieldPayload); }
std::string ErrorReason(const absl::Status& status) { return Payload(status, kReasonPayload); }

}  // namespace shadow
