// Each instance is a pod of its own, named by the instance and never made again. What it is stands
// in its labels and annotations (pod_names.h), also whether it is suspended: a new object takes
// every pod over, and pods outlive the daemon. Looks are answered from a watch.
//
// A suspended pod goes on running: it is out of its Service, and where the cluster can resize pods
// it has the least CPU.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/core/ports.h"
#include "server/providers/kubernetes/cluster.h"

namespace shadow {

// Thread-safe as ports.h says.
class KubernetesProvider final : public Provider {
 public:
  struct Options {
    std::string store_id;  // UUID of the store.
    std::string epoch;     // Of the store, STORE_ID/RANDOM.
  };

  KubernetesProvider(std::shared_ptr<Cluster> cluster, Options options);
  ~KubernetesProvider() override;

  void Listen(const std::function<void(std::string_view id)>& on_change) override;

  // Refuses what a pod cannot do (pod_spec.h).
  absl::Status Supports(const CompiledDna& dna) override;

  // All, also kUnavailable: the API server did not answer, or did not let the daemon. kCreate, also
  // kFailedPrecondition: the cluster refuses the pod. kResourceExhausted: a quota is full, the
  // server asks for a pause, or a node has no CPU left for a resumed pod.
  std::vector<absl::Status> Apply(std::span<const InstanceOp> operations) override;
  absl::StatusOr<Observation> Inspect(const InstanceSpec& instance) override;
  // By the pod as the API server has it now.
  absl::StatusOr<std::optional<Differences>> Verify(const InstanceSpec& instance,
                                                    Part part) override;
  absl::StatusOr<std::vector<Observation>> List() override;

 private:
  class Call;  // One operation, with the time that is left for it.

  absl::Status Carry(const InstanceOp& operation);
  absl::Status Create(const InstanceSpec& instance, Call& call);
  absl::Status Suspend(const InstanceSpec& instance, Call& call);
  absl::Status Resume(const InstanceSpec& instance, Call& call);
  absl::Status Destroy(const InstanceSpec& instance, bool force, Call& call);

  // The pod as it is known, or asked for by its name; null: there is none.
  absl::StatusOr<std::shared_ptr<const PodView>> Find(const std::string& id, Call& call);
  // The same of one that can be worked on. kNotFound: it is gone, or ends.
  absl::StatusOr<std::shared_ptr<const PodView>> FindLiving(const std::string& id, Call& call);
  absl::Status SetState(const PodView& pod, const char* state, Call& call);
  // Asks its node for `millis`, and does not wait for it.
  absl::Status Resize(const PodView& pod, int64_t millis, Call& call);
  // Of a suspended pod; unset: it keeps what it has.
  std::optional<int64_t> SuspendedCpu(const v1::Dna& dna) const;
  // Whether force has been asked for so long ago that nobody is there to end the pod.
  bool IsHopeless(const std::string& id);

  const std::shared_ptr<Cluster> cluster_;
  const Options options_;
  std::mutex mutex_;                              // Guards what follows.
  std::map<std::string, absl::Duration> killed_;  // By instance, since when; monotonic.
};

}  // namespace shadow
