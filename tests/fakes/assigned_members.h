// A pool's truth for a balancer, changed member by member.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/core/ports.h"

namespace shadow {

// Each verb tells the balancer of all members, and returns what became of the one. An id is its
// address. `balancer` must outlive this.
class AssignedMembers {
 public:
  explicit AssignedMembers(Balancer& balancer) : balancer_(balancer) {}

  // At weight 0. One that is there keeps its weight.
  absl::Status Add(const std::string& address) {
    members_.try_emplace(address, Assignment{.id = address, .address = address});
    return Tell(address);
  }

  absl::Status SetWeight(const std::string& address, int weight_percent) {
    members_[address] = {.id = address, .address = address, .weight_percent = weight_percent};
    return Tell(address);
  }

  absl::Status Drain(const std::string& address) {
    members_[address] = {.id = address, .address = address, .weight_percent = 0, .draining = true};
    return Tell(address);
  }

  absl::Status Remove(const std::string& address) {
    members_.erase(address);
    return Tell(address);
  }

  absl::Status Tell(const std::string& address) {
    std::vector<Assignment> assignments;
    for (const auto& [at, assignment] : members_) assignments.push_back(assignment);
    const auto result = balancer_.Assign(assignments);
    if (!result.ok()) return result.status();
    for (size_t i = 0; i < assignments.size(); ++i) {
      if (assignments[i].address == address) return result->assigned[i];
    }
    const auto left = result->left.find(address);
    return left == result->left.end() ? absl::OkStatus() : left->second;
  }

 private:
  Balancer& balancer_;
  std::map<std::string, Assignment> members_;
};

}  // namespace shadow
