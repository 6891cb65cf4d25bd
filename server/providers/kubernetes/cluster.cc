#include "server/providers/kubernetes/cluster.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/spec/kinds.h"
#include "server/providers/kubernetes/api_errors.h"
#include "server/providers/kubernetes/pod_names.h"
#include "server/providers/kubernetes/pod_view.h"
#include "spdlog/spdlog.h"

namespace shadow {
namespace {

constexpr absl::Duration kFeaturesAge = absl::Minutes(10);  // A cluster is upgraded at times.
constexpr size_t kVersionMaxBytes = 40;

v1::KubernetesProvider Filled(const CompiledProvider& provider) {
  v1::Provider spec = provider.spec;
  FieldChecker ignored;  // It was checked when it came in.
  KindOf(spec).compile("pool.provider", spec, ignored);
  return spec.kubernetes();
}

}  // namespace

Cluster::Cluster(ApiPlace place, const std::string& store_id, const CompiledProvider& provider,
                 Clock& clock)
    : spec_(Filled(provider)),
      tag_(ProviderTag(store_id, provider.key)),
      clock_(clock),
      client_(std::move(place), clock),
      pods_(client_, tag_, clock) {}

std::string Cluster::PodPath(const std::string& name, const std::string& rest) const {
  return absl::StrCat("/api/v1/namespaces/", space(), "/pods/", name, rest);
}

absl::StatusOr<ClusterFeatures> Cluster::Features(absl::Duration timeout) {
  {
    const std::lock_guard lock(mutex_);
    if (features_.has_value() && clock_.Now().mono - asked_ < kFeaturesAge) return *features_;
  }
  const auto resources = client_.Call({.path = "/api/v1", .timeout = timeout});
  const auto version =
      resources.ok() ? client_.Call({.path = "/version", .timeout = timeout}) : resources;
  const std::lock_guard lock(mutex_);
  if (!resources.ok() || !version.ok()) {
    if (features_.has_value()) return *features_;
    return resources.ok() ? version.status() : resources.status();
  }
  ClusterFeatures now{.version = Printable(TextBelow(*version, {"gitVersion"}), kVersionMaxBytes)};
  if (const Json* const all = Below(*resources, {"resources"})) {
    now.resizes = NamedIn(*all, "pods/resize") != nullptr;
  }
  if (!std::exchange(told_, true)) {
    spdlog::info("the cluster is Kubernetes {}", now.version);
    if (!now.resizes && spec_.demotion() == v1::KubernetesProvider::RESIZE) {
      spdlog::warn(
          "the cluster cannot resize pods in place, which Kubernetes 1.33 and newer can: suspended "
          "pods keep their CPU");
    }
  }
  features_ = now;
  asked_ = clock_.Now().mono;
  return now;
}

absl::StatusOr<std::shared_ptr<Cluster>> Clusters::Get(const CompiledProvider& provider) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Cluster>& cluster = clusters_[provider.key];
  if (cluster == nullptr) {
    auto place = FindApiPlace(provider.spec.kubernetes(), variable_);
    if (!place.ok()) return place.status();
    cluster = std::make_shared<Cluster>(*std::move(place), store_id_, provider, clock_);
  }
  return cluster;
}

}  // namespace shadow
