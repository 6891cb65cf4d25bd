// A Service of Kubernetes whose selector asks for a label: a pod of the pool that has the label,
// and is ready, gets its share of the traffic, by the count of those that do. So every weight but 0
// counts the same, and what is in flight is not known.
//
// What is told of a pod by others, e.g. that somebody took the label away, is seen by View.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "server/core/ports.h"
#include "server/providers/kubernetes/cluster.h"

namespace shadow {

class ServiceBalancer final : public Balancer {
 public:
  // `cluster`: of the pool's provider; an error is what every call returns. `pool`: its short name.
  ServiceBalancer(absl::StatusOr<std::shared_ptr<Cluster>> cluster, const std::string& pool,
                  const v1::ServiceBalancer& spec);

  std::string peer() const override;
  absl::StatusOr<AssignResult> Assign(std::span<const Assignment> assignments) override;
  // From what the watch of pods has told.
  absl::StatusOr<BalancerView> View() override;

 private:
  struct Told {
    std::string id;
    int weight_percent = 0;
    bool draining = false;
  };
  using Pods = std::map<std::string, std::shared_ptr<const PodView>>;  // By address.

  // Those of the pool that have an address and live.
  absl::StatusOr<Pods> PodsOfPool();
  bool HasLabel(const PodView& pod) const;
  absl::Status SetLabel(const PodView& pod, bool on, absl::Duration deadline);
  absl::Status AssignOne(const Assignment& assignment, const PodView* pod, absl::Duration deadline);

  const absl::StatusOr<std::shared_ptr<Cluster>> cluster_;
  const std::string pool_;  // As pods have it in their label.
  const std::string label_;
  const std::string value_;
  std::mutex mutex_;                  // Guards what follows.
  std::map<std::string, Told> told_;  // Who was brought in, by address.
};

}  // namespace shadow
