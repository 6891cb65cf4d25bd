#include "server/core/spec/kinds.h"

#include <cstddef>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "server/core/check.h"
#include "server/core/error.h"
#include "server/core/spec/cluster_kinds.h"
#include "server/core/spec/usage_kinds.h"
#include "server/core/text.h"

namespace shadow {
namespace {

constexpr size_t kSocketPathMaxBytes = 107;  // sun_path of unix(7) without its NUL.
constexpr int kUsageNamesMax = 64;           // Frontends, and backends, of one source.
constexpr size_t kSliceMaxBytes = 64;        // A pool's name and an instance's come below it.
constexpr std::string_view kSliceSuffix = ".slice";
constexpr std::string_view kDefaultSlice = "shadow.slice";

void CheckSocket(const std::string& field, const std::string& path, FieldChecker& check) {
  check.Text(field, path, kSocketPathMaxBytes);
  check.Path(field, path);
}

void CompileHaproxyBalancer(const std::string& field, v1::Balancer& spec, FieldChecker& check) {
  v1::HaproxyBalancer& haproxy = *spec.mutable_haproxy();
  CheckSocket(absl::StrCat(field, ".haproxy.socket_path"), haproxy.socket_path(), check);
  check.Foreign(absl::StrCat(field, ".haproxy.backend"), haproxy.backend());
  if (haproxy.slot_prefix().empty()) haproxy.set_slot_prefix("slot");
  check.Foreign(absl::StrCat(field, ".haproxy.slot_prefix"), haproxy.slot_prefix());
}

// "shadow.slice" or, of a slice in another, "apps-shadow.slice": parts of letters, digits and "_".
bool IsSlice(std::string_view slice) {
  if (slice.size() > kSliceMaxBytes || !slice.ends_with(kSliceSuffix)) return false;
  slice.remove_suffix(kSliceSuffix.size());
  return !slice.empty() && slice.front() != '-' && slice.back() != '-' &&
         slice.find("--") == std::string_view::npos &&
         std::all_of(slice.begin(), slice.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '-'; });
}

void CompileSystemdProvider(const std::string& field, v1::Provider& spec, FieldChecker& check) {
  v1::SystemdProvider& systemd = *spec.mutable_systemd();
  if (systemd.manager() == v1::SystemdProvider::MANAGER_UNSPECIFIED) {
    systemd.set_manager(v1::SystemdProvider::USER);
  }
  if (systemd.slice().empty()) systemd.set_slice(std::string(kDefaultSlice));
  if (!IsSlice(systemd.slice())) {
    check.Fail(absl::StrCat(field, ".systemd.slice"),
               absl::StrCat(Quoted(systemd.slice()),
                            " is not the name of a slice such as \"shadow.slice\""));
  } else if (systemd.manager() == v1::SystemdProvider::SYSTEM && systemd.slice() != kDefaultSlice) {
    check.Fail(absl::StrCat(field, ".systemd.slice"),
               "is set; units of manager SYSTEM are in the slice of the policy of shadowd-units");
  }
}

// Also of a spec whose defaults are not filled in.
std::string SystemdPlace(const v1::Provider& spec) {
  const v1::SystemdProvider& systemd = spec.systemd();
  return absl::StrCat(systemd.manager() == v1::SystemdProvider::SYSTEM ? "system/" : "user/",
                      systemd.slice().empty() ? std::string(kDefaultSlice) : systemd.slice());
}

// The names of one kind: `one`, unset if empty, and `more`.
void CheckNamed(const std::string& field, const std::string& one, const std::string& more_field,
                const google::protobuf::RepeatedPtrField<std::string>& more, FieldChecker& check) {
  std::set<std::string> names;
  if (!one.empty()) {
    check.Foreign(field, one);
    names.insert(one);
  }
  check.Count(more_field, more.size(), kUsageNamesMax);
  for (int i = 0; check.ok() && i < more.size(); ++i) {
    const std::string at = absl::StrCat(more_field, "[", i, "]");
    check.Foreign(at, more[i]);
    if (!names.insert(more[i]).second) {
      check.Fail(at, absl::StrCat(Quoted(more[i]), " is named twice"));
    }
  }
}

void CompileHaproxyUsage(const std::string& source, v1::UsageSource& spec, FieldChecker& check) {
  const std::string field = absl::StrCat(source, ".haproxy");
  v1::HaproxyUsage& haproxy = *spec.mutable_haproxy();
  CheckSocket(absl::StrCat(field, ".socket_path"), haproxy.socket_path(), check);
  if (haproxy.frontend().empty() && haproxy.frontends().empty() && haproxy.backend().empty() &&
      haproxy.backends().empty()) {
    check.Fail(field,
               "names none of frontend, frontends, backend, backends; at least one is wanted");
  }
  CheckNamed(absl::StrCat(field, ".frontend"), haproxy.frontend(),
             absl::StrCat(field, ".frontends"), haproxy.frontends(), check);
  CheckNamed(absl::StrCat(field, ".backend"), haproxy.backend(), absl::StrCat(field, ".backends"),
             haproxy.backends(), check);
  if (haproxy.metric() == v1::HaproxyUsage::METRIC_UNSPECIFIED) {
    haproxy.set_metric(v1::HaproxyUsage::REQUESTS);
  }
}

// Whether `prefix` and digits is `other`.
bool IsNumbered(std::string_view prefix, std::string_view other) {
  if (!other.starts_with(prefix)) return false;
  const std::string_view rest = other.substr(prefix.size());
  return rest.find_first_not_of("0123456789") == std::string_view::npos;
}

// Whether one server of one backend could be a slot of both: "slot" and "slot1" both have a
// "slot12".
bool SlotsOverlap(const v1::HaproxyBalancer& a, const v1::HaproxyBalancer& b) {
  return a.socket_path() == b.socket_path() && a.backend() == b.backend() &&
         (IsNumbered(a.slot_prefix(), b.slot_prefix()) ||
          IsNumbered(b.slot_prefix(), a.slot_prefix()));
}

absl::Status HaproxyConflict(const v1::Balancer& mine, const v1::Balancer& other,
                             std::string_view other_pool) {
  const v1::HaproxyBalancer& haproxy = mine.haproxy();
  const v1::HaproxyBalancer& taken = other.haproxy();
  if (!SlotsOverlap(taken, haproxy)) return absl::OkStatus();
  return FieldError(
      "pool.balancer.haproxy",
      absl::StrCat(std::string(other_pool), " has the slots \"", taken.slot_prefix(), "1\", \"",
                   taken.slot_prefix(), "2\", ... of backend \"", taken.backend(),
                   "\", which could be the same as those of \"", haproxy.slot_prefix(),
                   "\"; wanted another backend or slot_prefix"),
      absl::StatusCode::kFailedPrecondition);
}

// Of a spec without fields.
template <typename Spec>
void NothingToCompile(const std::string& /*field*/, Spec& /*spec*/, FieldChecker& /*check*/) {}

std::string OnlyOne(const v1::Provider& /*spec*/) { return ""; }

absl::Status NeverInConflict(const v1::Balancer& /*mine*/, const v1::Balancer& /*other*/,
                             std::string_view /*other_pool*/) {
  return absl::OkStatus();
}

constexpr ProviderTraits kProcessTraits{.suspends = true,
                                        .poll_interval = absl::Milliseconds(50),
                                        .list_interval = absl::Seconds(2),
                                        .call_time = absl::Seconds(2),
                                        .operations_per_call = 1};

// A manager answers one question after the other, of all its clients.
constexpr ProviderTraits kSystemdTraits{.suspends = true,
                                        .poll_interval = absl::Milliseconds(50),
                                        .list_interval = absl::Seconds(2),
                                        .call_time = absl::Seconds(2),
                                        .operations_per_call = 1};

// A suspended pod goes on running. The answers come from what a watch has told.
constexpr ProviderTraits kKubernetesTraits{.suspends = false,
                                           .poll_interval = absl::Milliseconds(100),
                                           .list_interval = absl::Seconds(2),
                                           .call_time = absl::Seconds(2),
                                           .operations_per_call = 1};

const ProviderKind kProviders[] = {
    {v1::Provider::kProcess, "process", kProcessTraits, NothingToCompile<v1::Provider>, OnlyOne},
    {v1::Provider::kSystemd, "systemd", kSystemdTraits, CompileSystemdProvider, SystemdPlace},
    {v1::Provider::kKubernetes, "kubernetes", kKubernetesTraits, CompileKubernetesProvider,
     KubernetesPlace},
};

const BalancerKind kBalancers[] = {
    {v1::Balancer::kHaproxy, true, CompileHaproxyBalancer, HaproxyConflict},
    {v1::Balancer::kNone, false, NothingToCompile<v1::Balancer>, NeverInConflict},
    // A pod has one pool, so two pools may have one label.
    {v1::Balancer::kService, true, CompileServiceBalancer, NeverInConflict},
};

const UsageKind kUsageSources[] = {
    {v1::UsageSource::kPushed, false, NothingToCompile<v1::UsageSource>},
    {v1::UsageSource::kHaproxy, true, CompileHaproxyUsage},
    {v1::UsageSource::kPrometheus, true, CompilePrometheusUsage},
    {v1::UsageSource::kCgroup, true, CompileCgroupUsage},
};

template <typename Rows, typename Spec>
const auto& RowOf(const Rows& rows, const Spec& spec) {
  const auto* const found = std::find_if(std::begin(rows), std::end(rows), [&](const auto& row) {
    return row.kind == spec.kind_case();
  });
  CHECK(found != std::end(rows));  // A test walks all kinds.
  return *found;
}

}  // namespace

const ProviderKind& KindOf(const v1::Provider& spec) { return RowOf(kProviders, spec); }
const BalancerKind& KindOf(const v1::Balancer& spec) { return RowOf(kBalancers, spec); }
const UsageKind& KindOf(const v1::UsageSource& spec) { return RowOf(kUsageSources, spec); }

absl::Status CheckNoConflict(const v1::Balancer& mine, const v1::Balancer& other,
                             std::string_view other_pool) {
  if (mine.kind_case() != other.kind_case()) return absl::OkStatus();
  return KindOf(mine).conflict(mine, other, other_pool);
}

std::shared_ptr<const CompiledProvider> CompileProvider(const v1::Provider& spec) {
  auto compiled = std::make_shared<CompiledProvider>();
  compiled->spec = spec;
  if (spec.kind_case() == v1::Provider::KIND_NOT_SET) compiled->spec.mutable_process();
  const ProviderKind& kind = KindOf(compiled->spec);
  const std::string place = kind.place(compiled->spec);
  compiled->key = absl::StrCat(std::string(kind.name), place.empty() ? "" : "/", place);
  compiled->traits = kind.traits;
  return compiled;
}

std::shared_ptr<const CompiledProvider> DefaultProvider() {
  return CompileProvider(v1::Provider());
}

}  // namespace shadow
