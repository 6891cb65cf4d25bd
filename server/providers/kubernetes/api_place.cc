#include "server/providers/kubernetes/api_place.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr size_t kNamespaceMaxBytes = 63;

absl::Status NoCluster(const std::string& missing) {
  return FieldError("pool.provider.kubernetes.api_server",
                    absl::StrCat("is unset, and the daemon runs in no pod: ", missing),
                    absl::StatusCode::kFailedPrecondition);
}

// It becomes a part of URLs.
bool IsNamespace(std::string_view name) {
  return !name.empty() && name.size() <= kNamespaceMaxBytes &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
}

}  // namespace

std::optional<std::string> EnvironmentVariable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

absl::StatusOr<std::string> ReadAccountFile(const std::string& path, size_t max_bytes) {
  std::ifstream file(path, std::ios::binary);
  std::string text(max_bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.fail() && !file.eof())) {
    return absl::UnavailableError(absl::StrCat(path, " cannot be read"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > max_bytes) {
    return absl::UnavailableError(absl::StrCat(path, " has more than ", max_bytes, " bytes"));
  }
  absl::StripAsciiWhitespace(&text);
  if (text.empty()) return absl::UnavailableError(absl::StrCat(path, " is missing or empty"));
  return text;
}

absl::StatusOr<ApiPlace> FindApiPlace(const v1::KubernetesProvider& spec,
                                      const ReadVariable& variable,
                                      const std::string& account_dir) {
  ApiPlace place{.server = spec.api_server(),
                 .space = spec.namespace_(),
                 .token_file = spec.token_file(),
                 .ca_file = spec.ca_file()};
  while (place.server.ends_with('/')) place.server.pop_back();
  if (place.server.empty()) {
    auto host = variable("KUBERNETES_SERVICE_HOST");
    const auto port = variable("KUBERNETES_SERVICE_PORT");
    if (!host || !port) return NoCluster("KUBERNETES_SERVICE_HOST and _PORT are not set");
    if (host->find(':') != std::string::npos) host = absl::StrCat("[", *host, "]");
    place.server = absl::StrCat("https://", *host, ":", *port);
    if (place.token_file.empty()) place.token_file = account_dir + "/token";
    if (place.ca_file.empty()) place.ca_file = account_dir + "/ca.crt";
  }
  if (place.space.empty()) {
    auto own = ReadAccountFile(account_dir + "/namespace", kNamespaceMaxBytes);
    if (!own.ok()) return NoCluster(std::string(own.status().message()));
    place.space = *std::move(own);
  }
  if (!IsNamespace(place.space)) {
    return FieldError("pool.provider.kubernetes.namespace",
                      "of the daemon's own pod is not the name of one",
                      absl::StatusCode::kFailedPrecondition);
  }
  return place;
}

}  // namespace shadow
