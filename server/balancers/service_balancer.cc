#include "server/balancers/service_balancer.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/providers/kubernetes/pod_names.h"

namespace shadow {
namespace {

constexpr absl::Duration kAssignTime = absl::Milliseconds(1800);
constexpr int kLabelTries = 3;  // Where others write the pod too.
constexpr int kFullPercent = 100;

}  // namespace

ServiceBalancer::ServiceBalancer(absl::StatusOr<std::shared_ptr<Cluster>> cluster,
                                 const std::string& pool, const v1::ServiceBalancer& spec)
    : cluster_(std::move(cluster)),
      pool_(LabelValue(pool)),
      label_(spec.label()),
      value_(spec.value()) {}

std::string ServiceBalancer::peer() const {
  if (!cluster_.ok()) return "kubernetes";
  return absl::StrCat((*cluster_)->client().place().server, "/", (*cluster_)->space());
}

bool ServiceBalancer::HasLabel(const PodView& pod) const {
  const auto found = pod.labels.find(label_);
  return found != pod.labels.end() && found->second == value_;
}

absl::StatusOr<ServiceBalancer::Pods> ServiceBalancer::PodsOfPool() {
  if (!cluster_.ok()) return cluster_.status();
  const auto all = (*cluster_)->pods().All();
  if (!all.ok()) return all.status();
  Pods pods;
  for (const auto& [id, pod] : *all) {
    const auto pool = pod->labels.find(kPoolLabel);
    if (pool == pod->labels.end() || pool->second != pool_ || pod->address.empty()) continue;
    if (pod->life == Life::kExited) continue;  // Another may have its address already.
    std::shared_ptr<const PodView>& at = pods[pod->address];
    if (at == nullptr || at->deleting) at = pod;
  }
  return pods;
}

absl::Status ServiceBalancer::SetLabel(const PodView& pod, bool on, absl::Duration deadline) {
  if (HasLabel(pod) == on) return absl::OkStatus();
  Cluster& cluster = **cluster_;
  Json labels = Json::object();
  labels[label_] = on ? Json(value_) : Json(nullptr);
  // By its uid: of no other pod that has its name.
  const Json patch = {{"metadata", {{"uid", pod.uid}, {"labels", std::move(labels)}}}};
  for (int tries = 1;; ++tries) {
    const absl::Duration left = deadline - cluster.clock().Now().mono;
    if (left <= absl::ZeroDuration()) {
      return absl::UnavailableError("there was no time for all pods; the rest is told later");
    }
    const auto answer = cluster.client().Call({.method = "PATCH",
                                               .path = cluster.PodPath(pod.name),
                                               .body = patch,
                                               .content_type = kMergePatch,
                                               .timeout = left});
    if (answer.ok()) cluster.pods().Note(*answer);
    if (absl::IsNotFound(answer.status()) && !on) return absl::OkStatus();
    if (!absl::IsAborted(answer.status()) || tries == kLabelTries) return answer.status();
  }
}

absl::Status ServiceBalancer::AssignOne(const Assignment& assignment, const PodView* pod,
                                        absl::Duration deadline) {
  if (assignment.weight_percent < 0 || assignment.weight_percent > kFullPercent) {
    return absl::InvalidArgumentError(absl::StrCat("the weight of ", assignment.address, " is ",
                                                   assignment.weight_percent, "; wanted 0 to 100"));
  }
  const bool serves = assignment.weight_percent > 0 && !assignment.draining;
  bool known = pod != nullptr && HasLabel(*pod);
  {
    const std::lock_guard lock(mutex_);
    known = known || told_.contains(assignment.address);
  }
  if (assignment.draining && !known) return absl::OkStatus();
  if (pod == nullptr) {
    if (assignment.draining) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("no pod has the address ", assignment.address));
  }
  if (serves && (!pod->ready || pod->deleting)) {
    const std::lock_guard lock(mutex_);
    told_.try_emplace(assignment.address, Told{.id = assignment.id});
    return absl::UnavailableError(absl::StrCat("pod ", pod->name, " is not ready"));
  }
  if (absl::Status status = SetLabel(*pod, serves, deadline); !status.ok()) {
    return absl::UnavailableError(status.message());
  }
  const std::lock_guard lock(mutex_);
  told_[assignment.address] = {.id = assignment.id,
                               .weight_percent = serves ? assignment.weight_percent : 0,
                               .draining = assignment.draining};
  return absl::OkStatus();
}

absl::StatusOr<AssignResult> ServiceBalancer::Assign(std::span<const Assignment> assignments) {
  const auto pods = PodsOfPool();
  if (!pods.ok()) return pods.status();
  const absl::Duration deadline = (*cluster_)->clock().Now().mono + kAssignTime;
  AssignResult result;
  std::set<std::string> named;
  for (const Assignment& assignment : assignments) {
    const auto found = pods->find(assignment.address);
    named.insert(assignment.address);
    result.assigned.push_back(
        AssignOne(assignment, found == pods->end() ? nullptr : found->second.get(), deadline));
  }
  for (const auto& [address, pod] : *pods) {
    if (named.contains(address)) continue;
    absl::Status removed = SetLabel(*pod, false, deadline);
    if (!removed.ok()) result.left[address] = absl::UnavailableError(removed.message());
  }
  const std::lock_guard lock(mutex_);
  std::erase_if(told_, [&](const auto& one) {
    return (!named.contains(one.first) && !result.left.contains(one.first)) ||
           !pods->contains(one.first);
  });
  return result;
}

absl::StatusOr<BalancerView> ServiceBalancer::View() {
  const auto pods = PodsOfPool();
  if (!pods.ok()) return pods.status();
  BalancerView view;
  const std::lock_guard lock(mutex_);
  for (const auto& [address, pod] : *pods) {
    const auto told = told_.find(address);
    const bool labelled = HasLabel(*pod);
    if (told == told_.end() && !labelled) continue;
    BalancerMember member;
    member.address = address;
    member.healthy = pod->ready && !pod->deleting;
    if (told != told_.end()) {
      member.id = told->second.id;
      member.draining = told->second.draining && !labelled;
    }
    if (labelled) {  // Also by somebody else.
      const int weight = told == told_.end() ? 0 : told->second.weight_percent;
      member.weight_percent = weight > 0 ? weight : kFullPercent;
    }
    view.members.push_back(std::move(member));
  }
  return view;
}

}  // namespace shadow
