#include "server/providers/kubernetes/pod_names.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/core/spec/canonical.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr size_t kTagDigits = 12;
constexpr size_t kValueMaxBytes = 63;

}  // namespace

std::string ProviderTag(std::string_view store_id, std::string_view provider_key) {
  return Sha256Hex(absl::StrCat(Absl(store_id), "\n", Absl(provider_key))).substr(0, kTagDigits);
}

std::string PodName(std::string_view provider_tag, std::string_view id) {
  return absl::StrCat("shadow-", Absl(provider_tag), "-", Absl(id));
}

std::string LabelValue(std::string_view text) {
  const bool fits = !text.empty() && text.size() <= kValueMaxBytes && IsAlnum(text.front()) &&
                    IsAlnum(text.back()) && std::all_of(text.begin(), text.end(), [](char c) {
                      return IsAlnum(c) || c == '-' || c == '_' || c == '.';
                    });
  return fits ? std::string(text) : Sha256Hex(text).substr(0, kTagDigits);
}

}  // namespace shadow
