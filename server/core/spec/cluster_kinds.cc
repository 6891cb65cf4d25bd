#include "server/core/spec/cluster_kinds.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/core/spec/canonical.h"
#include "server/core/text.h"

namespace shadow {
namespace {

using v1::KubernetesProvider;

// As Kubernetes has them: RFC 1123, and "Labels and Selectors" of its documentation.
constexpr size_t kLabelNameMaxBytes = 63;
constexpr size_t kSubdomainMaxBytes = 253;
constexpr size_t kUrlMaxBytes = 256;
constexpr int kDefaultSuspendedCpuMillis = 10;
constexpr FieldChecker::Limits kSuspendedCpuMillis = {.min = 1, .max = 1'000'000};
constexpr std::string_view kOwnPrefix = "shadow.dev/";
constexpr std::string_view kDefaultRoleLabel = "shadow.dev/role";
constexpr std::string_view kDefaultRoleValue = "active";
constexpr size_t kPlaceHashDigits = 12;

bool IsLowerAlnum(char c) { return IsDigit(c) || (c >= 'a' && c <= 'z'); }

// Lower-case letters, digits and "-", and "." where `dots`; begins and ends with a letter or digit.
bool IsDnsName(std::string_view name, size_t max_bytes, bool dots) {
  return !name.empty() && name.size() <= max_bytes && IsLowerAlnum(name.front()) &&
         IsLowerAlnum(name.back()) && name.find("..") == std::string_view::npos &&
         std::all_of(name.begin(), name.end(),
                     [dots](char c) { return IsLowerAlnum(c) || c == '-' || (dots && c == '.'); });
}

// Of a label: its value, or its key after the prefix.
bool IsLabelText(std::string_view text) {
  return !text.empty() && text.size() <= kLabelNameMaxBytes && IsAlnum(text.front()) &&
         IsAlnum(text.back()) && std::all_of(text.begin(), text.end(), [](char c) {
           return IsAlnum(c) || c == '-' || c == '_' || c == '.';
         });
}

bool IsLabelKey(std::string_view key) {
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos) return IsLabelText(key);
  return IsDnsName(key.substr(0, slash), kSubdomainMaxBytes, true) &&
         IsLabelText(key.substr(slash + 1));
}

// "https://HOST[:PORT]", or "http://" of this host: a token is sent there.
bool IsApiServer(std::string_view url) {
  constexpr std::string_view kPlain[] = {"http://127.0.0.1:", "http://[::1]:", "http://localhost:"};
  constexpr std::string_view kTls = "https://";
  std::string_view rest;
  if (url.starts_with(kTls)) rest = url.substr(kTls.size());
  for (const std::string_view plain : kPlain) {
    if (url.starts_with(plain)) rest = url.substr(plain.size());
  }
  return !rest.empty() && url.size() <= kUrlMaxBytes &&
         std::all_of(rest.begin(), rest.end(), [](char c) {
           return IsAlnum(c) || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
         });
}

void CheckFile(const std::string& field, const std::string& path, FieldChecker& check) {
  if (path.empty()) return;
  check.Path(field, path);
}

// An api_server of another cluster needs its own namespace and token.
void CheckOutside(const std::string& field, const KubernetesProvider& cluster,
                  FieldChecker& check) {
  if (cluster.api_server().empty()) return;
  if (!IsApiServer(cluster.api_server())) {
    check.Fail(absl::StrCat(field, ".api_server"),
               absl::StrCat(Quoted(cluster.api_server()),
                            " is not a URL such as \"https://10.0.0.1:6443\", or of \"http://\" on "
                            "this host"));
  }
  if (cluster.namespace_().empty()) {
    check.Fail(absl::StrCat(field, ".namespace"), "is missing; it is wanted beside api_server");
  }
  if (cluster.token_file().empty()) {
    check.Fail(absl::StrCat(field, ".token_file"), "is missing; it is wanted beside api_server");
  }
}

void FillIn(KubernetesProvider& cluster) {
  if (cluster.demotion() == KubernetesProvider::DEMOTION_UNSPECIFIED) {
    cluster.set_demotion(KubernetesProvider::RESIZE);
  }
  if (!cluster.has_suspended_cpu_millis()) {
    cluster.set_suspended_cpu_millis(kDefaultSuspendedCpuMillis);
  }
}

}  // namespace

void CompileKubernetesProvider(const std::string& provider, v1::Provider& spec,
                               FieldChecker& check) {
  const std::string field = absl::StrCat(provider, ".kubernetes");
  KubernetesProvider& cluster = *spec.mutable_kubernetes();
  FillIn(cluster);
  if (!cluster.namespace_().empty() &&
      !IsDnsName(cluster.namespace_(), kLabelNameMaxBytes, false)) {
    check.Fail(absl::StrCat(field, ".namespace"),
               absl::StrCat(Quoted(cluster.namespace_()), " is not the name of a namespace"));
  }
  CheckOutside(field, cluster, check);
  CheckFile(absl::StrCat(field, ".token_file"), cluster.token_file(), check);
  CheckFile(absl::StrCat(field, ".ca_file"), cluster.ca_file(), check);
  if (!cluster.template_deployment().empty() &&
      !IsDnsName(cluster.template_deployment(), kSubdomainMaxBytes, true)) {
    check.Fail(
        absl::StrCat(field, ".template_deployment"),
        absl::StrCat(Quoted(cluster.template_deployment()), " is not the name of a Deployment"));
  }
  check.Range(absl::StrCat(field, ".suspended_cpu_millis"), cluster.suspended_cpu_millis(),
              kSuspendedCpuMillis);
}

std::string KubernetesPlace(const v1::Provider& spec) {
  KubernetesProvider cluster = spec.kubernetes();
  FillIn(cluster);
  const std::string place = cluster.namespace_().empty() ? "own" : cluster.namespace_();
  v1::Provider plain;
  FillIn(*plain.mutable_kubernetes());
  plain.mutable_kubernetes()->set_namespace_(cluster.namespace_());
  if (cluster.SerializeAsString() == plain.kubernetes().SerializeAsString()) return place;
  return absl::StrCat(place, "#",
                      Sha256Hex(absl::StrCat(cluster.api_server(), "\n", cluster.token_file(), "\n",
                                             cluster.ca_file(), "\n", cluster.template_deployment(),
                                             "\n", static_cast<int>(cluster.demotion()), "\n",
                                             cluster.suspended_cpu_millis()))
                          .substr(0, kPlaceHashDigits));
}

void CompileServiceBalancer(const std::string& balancer, v1::Balancer& spec, FieldChecker& check) {
  const std::string field = absl::StrCat(balancer, ".service");
  v1::ServiceBalancer& service = *spec.mutable_service();
  if (service.label().empty()) service.set_label(std::string(kDefaultRoleLabel));
  if (service.value().empty()) service.set_value(std::string(kDefaultRoleValue));
  if (!IsLabelKey(service.label()) ||
      (service.label().starts_with(kOwnPrefix) && service.label() != kDefaultRoleLabel)) {
    check.Fail(absl::StrCat(field, ".label"),
               absl::StrCat(Quoted(service.label()),
                            " is not the key of a label, or one of shadowd's own; wanted e.g. \"",
                            std::string(kDefaultRoleLabel), "\""));
  }
  if (!IsLabelText(service.value())) {
    check.Fail(absl::StrCat(field, ".value"),
               absl::StrCat(Quoted(service.value()), " is not the value of a label"));
  }
}

}  // namespace shadow
