// A Balancer in memory: no traffic, every number that List gives is a knob.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/core/error.h"
#include "server/core/ports.h"

namespace shadow {

// Thread-safe, verbs and knobs alike.
class FakeBalancer final : public Balancer {
 public:
  enum class Verb { kAdd, kSetWeight, kDrain, kRemove, kList };

  // `slots_max`: how many members fit.
  explicit FakeBalancer(size_t slots_max = 1000) : slots_max_(slots_max) {}

  std::string peer() const override { return "fake"; }

  absl::Status Add(const std::string& address) override {
    const std::lock_guard lock(mutex_);
    if (absl::Status status = Begin(Verb::kAdd, "add " + address); !status.ok()) return status;
    const auto found = members_.find(address);
    if (found != members_.end()) {
      found->second.healthy = true;
      return absl::OkStatus();
    }
    if (members_.size() >= slots_max_) return absl::ResourceExhaustedError("no free slot");
    BalancerMember member;
    member.address = address;
    member.healthy = true;
    if (counts_) {
      member.in_flight = 0;
      member.requests = 0;
      member.errors = 0;
    }
    members_.emplace(address, std::move(member));
    return absl::OkStatus();
  }

  absl::Status SetWeight(const std::string& address, int weight_percent) override {
    const std::lock_guard lock(mutex_);
    const std::string call = "weight " + address + " " + std::to_string(weight_percent);
    if (absl::Status status = Begin(Verb::kSetWeight, call); !status.ok()) return status;
    if (weight_percent < 1 || weight_percent > 100) {
      return FieldError("weight_percent", std::to_string(weight_percent) + " is not in [1, 100]");
    }
    const auto found = members_.find(address);
    if (found == members_.end()) return absl::NotFoundError(address + " was not added");
    if (!found->second.healthy) return absl::UnavailableError(address + " is not healthy");
    found->second.weight_percent = weight_percent;
    found->second.draining = false;
    return absl::OkStatus();
  }

  absl::Status Drain(const std::string& address) override {
    const std::lock_guard lock(mutex_);
    if (absl::Status status = Begin(Verb::kDrain, "drain " + address); !status.ok()) return status;
    const auto found = members_.find(address);
    if (found == members_.end()) return absl::OkStatus();
    found->second.weight_percent = 0;
    found->second.draining = true;
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& address) override {
    const std::lock_guard lock(mutex_);
    if (absl::Status status = Begin(Verb::kRemove, "remove " + address); !status.ok()) {
      return status;
    }
    members_.erase(address);
    return absl::OkStatus();
  }

  absl::StatusOr<BalancerView> List() override {
    const std::lock_guard lock(mutex_);
    if (absl::Status status = Begin(Verb::kList, ""); !status.ok()) return status;
    BalancerView view;
    view.slots = static_cast<int>(slots_max_);
    view.epoch = std::to_string(epoch_);
    view.errors_per_second = errors_per_second_;
    view.queued_requests = queued_requests_;
    view.response_time_ms = response_time_ms_;
    for (const auto& [address, member] : members_) view.members.push_back(member);
    return view;
  }

  // What its own checks say of a member; no effect on one that is not there.
  void SetHealthy(const std::string& address, bool healthy) {
    const std::lock_guard lock(mutex_);
    if (members_.contains(address)) members_[address].healthy = healthy;
  }

  // Of members added from now on it can tell no numbers.
  void StopCounting() {
    const std::lock_guard lock(mutex_);
    counts_ = false;
  }

  void SetInFlight(const std::string& address, int64_t in_flight) {
    const std::lock_guard lock(mutex_);
    if (members_.contains(address)) members_[address].in_flight = in_flight;
  }

  // Counters since Add, as List is to give them.
  void SetCounters(const std::string& address, int64_t requests, int64_t errors,
                   std::optional<double> response_time_ms) {
    const std::lock_guard lock(mutex_);
    if (!members_.contains(address)) return;
    members_[address].requests = requests;
    members_[address].errors = errors;
    members_[address].response_time_ms = response_time_ms;
  }

  // Of the whole backend; unset as after a start.
  void SetBackend(std::optional<double> errors_per_second, std::optional<double> queued_requests,
                  std::optional<double> response_time_ms) {
    const std::lock_guard lock(mutex_);
    errors_per_second_ = errors_per_second;
    queued_requests_ = queued_requests;
    response_time_ms_ = response_time_ms;
  }

  // Restarts and forgets every member; the epoch changes.
  void Restart() {
    const std::lock_guard lock(mutex_);
    members_.clear();
    ++epoch_;
  }

  // `verb` fails with `status` for its next `times` calls (0: no more), without effect.
  void Fail(Verb verb, absl::Status status, int times) {
    const std::lock_guard lock(mutex_);
    failures_.insert_or_assign(verb, Failure{.status = std::move(status), .left = times});
  }

  // Unset: not a member.
  std::optional<BalancerMember> Member(const std::string& address) {
    const std::lock_guard lock(mutex_);
    const auto found = members_.find(address);
    return found == members_.end() ? std::nullopt : std::optional(found->second);
  }

  // Every call but List, in order, failed ones too: "add 127.0.0.1:1", "weight 127.0.0.1:1 10",
  // "drain ...", "remove ...". The newest kCallsMax.
  std::vector<std::string> Calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  static constexpr size_t kCallsMax = 100'000;

  struct Failure {
    absl::Status status;
    int left = 0;
  };

  // With mutex_.
  absl::Status Begin(Verb verb, const std::string& call) {
    if (verb != Verb::kList) {
      if (calls_.size() >= kCallsMax) calls_.erase(calls_.begin(), calls_.begin() + kCallsMax / 2);
      calls_.push_back(call);
    }
    const auto found = failures_.find(verb);
    if (found == failures_.end() || found->second.left <= 0) return absl::OkStatus();
    --found->second.left;
    return found->second.status;
  }

  const size_t slots_max_;
  std::mutex mutex_;  // Guards what follows.
  bool counts_ = true;
  std::map<std::string, BalancerMember> members_;
  std::map<Verb, Failure> failures_;
  std::vector<std::string> calls_;
  int64_t epoch_ = 1;
  std::optional<double> errors_per_second_;
  std::optional<double> queued_requests_;
  std::optional<double> response_time_ms_;
};

}  // namespace shadow
