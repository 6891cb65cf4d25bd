#include "client/errors.h"

#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "client/text.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace shadow {
namespace {

constexpr char kDiffersPayload[] = "shadowctl/differs";

constexpr char kFieldPayload[] = "shadowctl/field";

struct Details {
  std::string field;
  std::string description;
  bool from_daemon = false;  // Whatever carries details was answered by shadowd itself.
};

Details ReadDetails(const grpc::Status& status) {
  Details details;
  google::rpc::Status rich;
  if (status.error_details().empty() || !rich.ParseFromString(status.error_details())) {
    return details;
  }
  details.from_daemon = true;
  for (const google::protobuf::Any& any : rich.details()) {
    google::rpc::BadRequest bad_request;
    if (any.Is<google::rpc::BadRequest>() && any.UnpackTo(&bad_request) &&
        bad_request.field_violations_size() > 0) {
      details.field = bad_request.field_violations(0).field();
      details.description = bad_request.field_violations(0).description();
      return details;
    }
  }
  return details;
}

// Nobody answered: say why, as far as the error or the socket's file tells.
absl::Status TransportError(const grpc::Status& status, std::string_view address) {
  constexpr std::string_view kScheme = "unix:";
  if (!address.starts_with(kScheme)) {
    return absl::UnavailableError(
        absl::StrCat(std::string(address), ": no shadowd answers: ", status.error_message(),
                     "; if it is there, its log says whether it has refused the certificate"));
  }
  const std::string path(address.substr(kScheme.size()));
  const int access_error = access(path.c_str(), R_OK | W_OK) == 0 ? 0 : errno;
  if (access_error == EACCES) {
    return absl::PermissionDeniedError(
        absl::StrCat(std::string(address), ": you may not open this socket; run shadowctl as root ",
                     "or as a member of the socket's group"));
  }
  const std::string found =
      access_error == ENOENT ? "there is no such socket" : status.error_message();
  return absl::UnavailableError(
      absl::StrCat(std::string(address), ": no shadowd answers: ", found,
                   "; start it with `systemctl start shadowd` or `shadowd --listen ",
                   std::string(address), "`, or name another socket with --address"));
}

}  // namespace

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kInvalidArgument:
      return kExitUsage;
    case absl::StatusCode::kNotFound:
      return 3;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return 4;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
      return 5;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return 6;
    default:
      return 1;
  }
}

std::string ErrorLine(const absl::Status& status) {
  return absl::StrCat("error: ", absl::StatusCodeToString(status.code()), ": ",
                      PrintableText(std::string(status.message())));
}

absl::Status StatusFromRpc(const grpc::Status& status, std::string_view address) {
  if (status.ok()) return absl::OkStatus();
  const Details details = ReadDetails(status);
  // The codes of gRPC and of absl are the same numbers.
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  if (code == absl::StatusCode::kUnavailable && !details.from_daemon) {
    return TransportError(status, address);
  }
  std::string message = status.error_message();
  if (message.empty()) message = details.description;
  if (message.empty() && code == absl::StatusCode::kUnimplemented) {
    message = "the daemon does not know this call; is it of the same version as shadowctl?";
  }
  if (message.empty()) message = "the daemon gave no reason";
  if (!details.field.empty() && !message.starts_with(details.field)) {
    message = absl::StrCat(details.field, ": ", message);
  }
  absl::Status error(code, message);
  if (!details.field.empty()) error.SetPayload(kFieldPayload, absl::Cord(details.field));
  return error;
}

std::string FieldOf(const absl::Status& status) {
  const auto field = status.GetPayload(kFieldPayload);
  return field.has_value() ? std::string(*field) : "";
}

absl::Status BadField(std::string_view field, std::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": ", std::string(problem)));
}

absl::Status Differs() {
  absl::Status status(absl::StatusCode::kUnknown, "something differs");
  status.SetPayload(kDiffersPayload, absl::Cord());
  return status;
}

bool IsDiffers(const absl::Status& status) {
  return status.GetPayload(kDiffersPayload).has_value();
}

}  // namespace shadow
