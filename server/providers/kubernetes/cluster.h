// One provider's part of a cluster, which its balancers share: the API server, the pods, and what
// the cluster can do.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/core/spec.h"
#include "server/providers/kubernetes/api_client.h"
#include "server/providers/kubernetes/pod_cache.h"

namespace shadow {

struct ClusterFeatures {
  std::string version;   // "v1.33.1"
  bool resizes = false;  // Pods in place: the subresource pods/resize.
};

// Thread-safe.
class Cluster {
 public:
  // Begins to watch at once; does not block. `clock` must outlive it.
  Cluster(ApiPlace place, const std::string& store_id, const CompiledProvider& provider,
          Clock& clock);

  const v1::KubernetesProvider& spec() const { return spec_; }
  const std::string& tag() const { return tag_; }  // ProviderTag
  const std::string& space() const { return client_.place().space; }
  ApiClient& client() { return client_; }
  PodCache& pods() { return pods_; }
  Clock& clock() { return clock_; }

  // As discovered; asked again after ten minutes. What is lacking is logged the first time.
  absl::StatusOr<ClusterFeatures> Features(absl::Duration timeout);

  // "/api/v1/namespaces/shop/pods/NAME" and `rest`.
  std::string PodPath(const std::string& name, const std::string& rest = "") const;

 private:
  const v1::KubernetesProvider spec_;
  const std::string tag_;
  Clock& clock_;
  ApiClient client_;
  PodCache pods_;
  std::mutex mutex_;  // Guards what follows.
  std::optional<ClusterFeatures> features_;
  absl::Duration asked_;  // When; monotonic.
  bool told_ = false;
};

// The clusters of a daemon, one for each CompiledProvider::key. Thread-safe.
class Clusters {
 public:
  Clusters(std::string store_id, ReadVariable variable, Clock& clock)
      : store_id_(std::move(store_id)), variable_(std::move(variable)), clock_(clock) {}

  // Shared by the provider and the balancers of its pools, each of which may outlive the others.
  // kFailedPrecondition: FindApiPlace.
  absl::StatusOr<std::shared_ptr<Cluster>> Get(const CompiledProvider& provider);

 private:
  const std::string store_id_;
  const ReadVariable variable_;
  Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Cluster>> clusters_;  // By CompiledProvider::key.
};

}  // namespace shadow
