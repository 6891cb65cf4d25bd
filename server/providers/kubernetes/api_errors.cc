#include "server/providers/kubernetes/api_errors.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr size_t kErrorMaxBytes = 300;

std::string TextOf(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

absl::StatusCode CodeOfAnswer(long http_status, const std::string& reason,
                              const std::string& message) {
  switch (http_status) {
    case 400:
    case 413:
    case 422:
      return absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      // The API server has one reason for this and for a lack of rights; only the words differ.
      return message.find("exceeded quota") == std::string::npos
                 ? absl::StatusCode::kPermissionDenied
                 : absl::StatusCode::kResourceExhausted;
    case 404:
      return absl::StatusCode::kNotFound;
    case 409:
      return reason == "AlreadyExists" ? absl::StatusCode::kAlreadyExists
                                       : absl::StatusCode::kAborted;
    case 410:
      return absl::StatusCode::kOutOfRange;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

}  // namespace

std::string Printable(std::string_view text, size_t max_bytes) {
  std::string clean;
  for (const char c : text) {
    if (clean.size() >= max_bytes) break;
    clean += c >= ' ' && c <= '~' ? c : ' ';
  }
  return clean;
}

absl::Status ErrorOfAnswer(long http_status, std::string_view body) {
  const auto object = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  const std::string reason = TextOf(object, "reason");
  const std::string message = TextOf(object, "message");
  const std::string said = Printable(
      message.empty() ? std::string_view("it does not say why") : message, kErrorMaxBytes);
  return {CodeOfAnswer(http_status, reason, message),
          Absl(absl::StrCat("the API server answers ", http_status, ": ", said))};
}

}  // namespace shadow
