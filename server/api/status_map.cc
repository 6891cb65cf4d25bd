#include "server/api/status_map.h"

#include <string>
#include <string_view>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/core/error.h"

namespace shadow {
namespace {

constexpr char kDomain[] = "shadowd";
constexpr size_t kMessageMaxBytes =
    1024;  // It travels up to three times: text, details, BadRequest.

// Cut at the limit, and to printable ASCII: a message may quote the host's bytes, and neither a
// trailer nor a protobuf string takes all of them.
std::string Clean(std::string_view text) {
  std::string clean(text.substr(0, kMessageMaxBytes));
  for (char& c : clean) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (text.size() > kMessageMaxBytes) clean += "...";
  return clean;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::string message = Clean({status.message().data(), status.message().size()});
  const std::string field = ErrorField(status);
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_domain(kDomain);
  info.set_reason(ErrorReason(status));
  if (info.reason().empty()) info.set_reason(absl::StatusCodeToString(status.code()));
  details.add_details()->PackFrom(info);
  if (!field.empty()) {
    google::rpc::BadRequest bad;
    auto& violation = *bad.add_field_violations();
    violation.set_field(Clean(field));
    violation.set_description(message);
    details.add_details()->PackFrom(bad);
  }
  std::string bytes = details.SerializeAsString();
  if (bytes.size() + message.size() > kErrorMaxBytes) bytes.clear();
  return {code, message, bytes};
}

}  // namespace shadow
