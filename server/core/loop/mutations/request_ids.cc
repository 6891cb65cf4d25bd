#include "server/core/loop/mutations/request_ids.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/core/error.h"
#include "server/core/spec/canonical.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr size_t kRequestIdMaxBytes = 128;
constexpr char kTypePrefix[] = "type.googleapis.com/";

// Digest of everything but the id; maps in a fixed order.
std::string DigestOf(Request request) {
  return std::visit(
      [](auto& message) {
        if constexpr (requires { message.clear_request_id(); }) message.clear_request_id();
        std::string bytes = message.GetTypeName();
        google::protobuf::io::StringOutputStream stream(&bytes);
        google::protobuf::io::CodedOutputStream coded(&stream);
        coded.SetSerializationDeterministic(true);
        message.SerializeToCodedStream(&coded);
        coded.Trim();
        return Sha256Hex(bytes);
      },
      request);
}

Answer Unpack(const std::string& bytes) {
  google::protobuf::Any any;
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  if (any.ParseFromString(bytes)) {
    const std::string type =
        any.type_url().substr(std::min(sizeof(kTypePrefix) - 1, any.type_url().size()));
    const auto* descriptor = pool->FindMessageTypeByName(type);
    if (descriptor != nullptr) {
      MessagePtr message(
          google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
      if (message->ParseFromString(any.value())) return message;
    }
  }
  return absl::DataLossError("request_id: its first answer cannot be read any more");
}

}  // namespace

std::string RequestIdOf(const Request& request) {
  return std::visit(
      [](const auto& message) -> std::string {
        if constexpr (requires { message.request_id(); }) {
          return message.request_id();
        } else {
          return {};
        }
      },
      request);
}

bool ValidateOnly(const Request& request) {
  return std::visit(
      [](const auto& message) {
        if constexpr (requires { message.validate_only(); }) {
          return message.validate_only();
        } else {
          return false;
        }
      },
      request);
}

absl::Status CheckRequestId(const std::string& request_id) {
  const bool printable =
      std::all_of(request_id.begin(), request_id.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (printable && request_id.size() <= kRequestIdMaxBytes) return absl::OkStatus();
  return FieldError("request_id", absl::StrCat("wanted at most ", kRequestIdMaxBytes,
                                               " printable ASCII characters without spaces"));
}

std::optional<Answer> Remembered(const World& world, const Request& request,
                                 const std::string& request_id) {
  const auto found = world.requests.find(request_id);
  if (request_id.empty() || found == world.requests.end()) return std::nullopt;
  if (found->second.record.request_digest() != DigestOf(request)) {
    return FieldError(
        "request_id",
        absl::StrCat("\"", request_id, "\" was used for another request; wanted a new one"),
        absl::StatusCode::kAlreadyExists);
  }
  return Unpack(found->second.record.response());
}

void Remember(Changes& changes, const Request& request, const std::string& request_id,
              const google::protobuf::Message& answer) {
  google::protobuf::Any any;
  any.PackFrom(answer);
  v1::RequestRecord record;
  record.set_request_id(request_id);
  record.set_request_digest(DigestOf(request));
  record.set_response(any.SerializeAsString());
  *record.mutable_time() = ToProto(changes.now().wall);
  *changes.batch().add_requests() = record;
  changes.world().requests[request_id] = {.record = std::move(record), .since = changes.now().mono};
}

void ForgetOldRequests(World& world, absl::Duration now) {
  std::erase_if(world.requests,
                [now](const auto& entry) { return entry.second.since + kRequestRetention < now; });
  if (world.requests.size() <= kRequestsMax) return;
  const auto age = [](const RememberedRequest& request) {
    return std::make_pair(request.since, FromProto(request.record.time()));
  };
  std::vector<std::pair<absl::Duration, absl::Time>> ages;
  for (const auto& [id, request] : world.requests) ages.push_back(age(request));
  auto cut = ages.begin() + static_cast<std::ptrdiff_t>(ages.size() - kRequestsMax);
  std::nth_element(ages.begin(), cut, ages.end());
  const auto oldest = *cut;
  std::erase_if(world.requests, [&](const auto& entry) { return age(entry.second) < oldest; });
}

}  // namespace shadow
