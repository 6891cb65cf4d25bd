#include "server/core/loop/mutations/request_ids.h"

#include <algorithm>
#include <string_view>
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
  if (found->second.request_digest() != DigestOf(request)) {
    return FieldError(
        "request_id",
        absl::StrCat("\"", request_id, "\" was used for another request; wanted a new one"),
        absl::StatusCode::kAlreadyExists);
  }
  return Unpack(found->second.response());
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
  changes.world().requests[request_id] = std::move(record);
}

void ForgetOldRequests(World& world, absl::Time now) {
  std::erase_if(world.requests, [now](const auto& entry) {
    return FromProto(entry.second.time()) + kRequestRetention < now;
  });
  if (world.requests.size() <= kRequestsMax) return;
  std::vector<absl::Time> times;
  for (const auto& [id, record] : world.requests) times.push_back(FromProto(record.time()));
  auto cut = times.begin() + static_cast<std::ptrdiff_t>(times.size() - kRequestsMax);
  std::nth_element(times.begin(), cut, times.end());
  const absl::Time oldest = *cut;
  std::erase_if(world.requests,
                [oldest](const auto& entry) { return FromProto(entry.second.time()) < oldest; });
}

}  // namespace shadow
