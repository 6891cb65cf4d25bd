// Balancer for pools whose clients find the endpoints themselves, through EventService.Watch.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "server/core/ports.h"

namespace shadow {

// Accepts everything and sends nothing: only the daemon knows what it added, so a restart forgets
// it. List says that every member is healthy, with its weight; counters are 0, rates are unset, the
// epoch never changes. Thread-safe.
class NoneBalancer final : public Balancer {
 public:
  std::string peer() const override { return "none"; }
  absl::Status Add(const std::string& address) override;
  absl::Status SetWeight(const std::string& address, int weight_percent) override;
  absl::Status Drain(const std::string& address) override;
  absl::Status Remove(const std::string& address) override;
  absl::StatusOr<BalancerView> List() override;

 private:
  std::mutex mutex_;  // Guards what follows.
  std::map<std::string, BalancerMember> members_;
};

}  // namespace shadow
