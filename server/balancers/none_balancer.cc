#include "server/balancers/none_balancer.h"

#include "server/core/error.h"

namespace shadow {

absl::Status NoneBalancer::Add(const std::string& address) {
  const std::lock_guard lock(mutex_);
  BalancerMember& member = members_[address];
  member.address = address;
  member.healthy = true;
  return absl::OkStatus();
}

absl::Status NoneBalancer::SetWeight(const std::string& address, int weight_percent) {
  if (weight_percent < 1 || weight_percent > 100) {
    return FieldError("weight_percent", std::to_string(weight_percent) + " is not in [1, 100]");
  }
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(address);
  if (found == members_.end()) return absl::NotFoundError(address + " was not added: Add it first");
  found->second.weight_percent = weight_percent;
  found->second.draining = false;
  return absl::OkStatus();
}

absl::Status NoneBalancer::Drain(const std::string& address) {
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(address);
  if (found == members_.end()) return absl::OkStatus();
  found->second.weight_percent = 0;
  found->second.draining = true;
  return absl::OkStatus();
}

absl::Status NoneBalancer::Remove(const std::string& address) {
  const std::lock_guard lock(mutex_);
  members_.erase(address);
  return absl::OkStatus();
}

absl::StatusOr<BalancerView> NoneBalancer::List() {
  const std::lock_guard lock(mutex_);
  BalancerView view;
  view.epoch = "none";
  for (const auto& [address, member] : members_) view.members.push_back(member);
  return view;
}

}  // namespace shadow
