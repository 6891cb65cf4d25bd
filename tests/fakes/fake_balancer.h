// A Balancer in memory: no traffic, every number that View gives is a knob.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/core/error.h"
#include "server/core/ports.h"

namespace shadow {

// Thread-safe, verbs and knobs alike.
class FakeBalancer final : public Balancer {
 public:
  enum class Verb { kAssign, kView };

  // `slots_max`: how many members fit.
  explicit FakeBalancer(size_t slots_max = 1000) : slots_max_(slots_max) {}

  std::string peer() const override { return "fake"; }

  absl::StatusOr<AssignResult> Assign(std::span<const Assignment> assignments) override {
    const std::lock_guard lock(mutex_);
    if (absl::Status status = Begin(Verb::kAssign); !status.ok()) return status;
    std::set<std::string> wanted;
    for (const Assignment& assignment : assignments) wanted.insert(assignment.address);
    std::erase_if(members_, [&](const auto& member) {
      if (wanted.contains(member.first)) return false;
      Note("remove " + member.first);
      return true;
    });
    AssignResult result;
    for (const Assignment& assignment : assignments) result.assigned.push_back(Carry(assignment));
    return result;
  }

  absl::StatusOr<BalancerView> View() override {
    const std::lock_guard lock(mutex_);
    if (absl::Status status = Begin(Verb::kView); !status.ok()) return status;
    BalancerView view;
    view.slots = static_cast<int>(slots_max_);
    view.errors_per_second = errors_per_second_;
    view.queued_requests = queued_requests_;
    view.response_time_ms = response_time_ms_;
    for (const auto& [address, member] : members_) view.members.push_back(member);
    return view;
  }

  // As if somebody else had brought it in.
  void AddStranger(const std::string& address) {
    const std::lock_guard lock(mutex_);
    members_.insert_or_assign(address, Newcomer(address));
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

  // Counters since it was brought in, as View is to give them.
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

  // Restarts and forgets every member.
  void Restart() {
    const std::lock_guard lock(mutex_);
    members_.clear();
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

  // Every change that was made, in order: "add 127.0.0.1:1", "weight 127.0.0.1:1 10", "drain ...",
  // "remove ...". The newest kCallsMax.
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

  // The rest with mutex_.
  absl::Status Carry(const Assignment& assignment) {
    const std::string& address = assignment.address;
    if (assignment.weight_percent < 0 || assignment.weight_percent > 100) {
      return FieldError("weight_percent",
                        std::to_string(assignment.weight_percent) + " is not in [0, 100]");
    }
    auto found = members_.find(address);
    if (found == members_.end()) {
      if (assignment.draining) return absl::OkStatus();
      if (members_.size() >= slots_max_) return absl::ResourceExhaustedError("no free slot");
      Note("add " + address);
      found = members_.emplace(address, Newcomer(address)).first;
    }
    BalancerMember& member = found->second;
    member.id = assignment.id;
    if (assignment.draining) {
      if (!std::exchange(member.draining, true)) Note("drain " + address);
      member.weight_percent = 0;
      return absl::OkStatus();
    }
    if (assignment.weight_percent == 0) member.healthy = true;
    if (!member.healthy) return absl::UnavailableError(address + " is not healthy");
    if (member.weight_percent != assignment.weight_percent || member.draining) {
      Note("weight " + address + " " + std::to_string(assignment.weight_percent));
    }
    member.weight_percent = assignment.weight_percent;
    member.draining = false;
    return absl::OkStatus();
  }

  BalancerMember Newcomer(const std::string& address) const {
    BalancerMember member;
    member.address = address;
    member.healthy = true;
    if (counts_) {
      member.in_flight = 0;
      member.requests = 0;
      member.errors = 0;
    }
    return member;
  }

  void Note(const std::string& change) {
    if (calls_.size() >= kCallsMax) calls_.erase(calls_.begin(), calls_.begin() + kCallsMax / 2);
    calls_.push_back(change);
  }

  absl::Status Begin(Verb verb) {
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
  std::optional<double> errors_per_second_;
  std::optional<double> queued_requests_;
  std::optional<double> response_time_ms_;
};

}  // namespace shadow
