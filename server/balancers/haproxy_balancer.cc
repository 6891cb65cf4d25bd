#include "server/balancers/haproxy_balancer.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "server/balancers/haproxy_address.h"
#include "server/balancers/haproxy_replies.h"
#include "server/core/error.h"

namespace shadow {
namespace {

absl::Status CheckAssignment(const Assignment& assignment) {
  if (absl::Status status = CheckMemberAddress(assignment.address); !status.ok()) return status;
  if (assignment.weight_percent < 0 || assignment.weight_percent > kFullWeightPercent) {
    return FieldError("weight_percent",
                      std::to_string(assignment.weight_percent) + " is not in [0, 100]");
  }
  return absl::OkStatus();
}

// Who is at `address` by `snapshot`; nullptr: nobody.
const HaproxyServer* MemberAt(const HaproxySlots::Snapshot& snapshot, const std::string& address) {
  for (const HaproxyServer& slot : snapshot.slots) {
    if (!slot.maintenance && slot.address == address) return &slot;
  }
  return nullptr;
}

}  // namespace

HaproxyBalancer::HaproxyBalancer(const v1::HaproxyBalancer& spec, Clock& clock)
    : peer_(spec.socket_path()), slots_(spec, clock), clock_(clock) {}

absl::StatusOr<AssignResult> HaproxyBalancer::Assign(std::span<const Assignment> assignments) {
  const absl::Duration deadline = slots_.Deadline();
  AssignResult result;
  ByAddress wanted;
  std::map<std::string, std::string> ids;
  for (const Assignment& assignment : assignments) {
    result.assigned.push_back(CheckAssignment(assignment));
    if (!result.assigned.back().ok()) continue;
    wanted[assignment.address] = &assignment;
    ids[assignment.address] = assignment.id;
  }
  {
    const std::lock_guard lock(mutex_);
    ids_ = std::move(ids);
  }
  auto snapshot = slots_.ReadSnapshot(deadline);
  if (!snapshot.ok()) return snapshot.status();
  for (size_t i = 0; i < assignments.size(); ++i) {
    if (!result.assigned[i].ok()) continue;
    const HaproxyServer* const member = MemberAt(*snapshot, assignments[i].address);
    result.assigned[i] = member != nullptr ? Change(*member, assignments[i], deadline)
                                           : Enter(*snapshot, assignments[i], deadline);
  }
  // This may wait for connections, so it keeps nobody else waiting.
  if (!Clear(*snapshot, wanted, deadline, result)) return result;
  const bool wait = std::any_of(result.assigned.begin(), result.assigned.end(),
                                [](const auto& one) { return absl::IsResourceExhausted(one); });
  if (!wait) return result;
  snapshot = slots_.ReadSnapshot(deadline);
  if (!snapshot.ok()) return result;
  for (size_t i = 0; i < assignments.size(); ++i) {
    if (!absl::IsResourceExhausted(result.assigned[i])) continue;
    result.assigned[i] = Enter(*snapshot, assignments[i], deadline);
  }
  return result;
}

bool HaproxyBalancer::Clear(const HaproxySlots::Snapshot& snapshot, const ByAddress& wanted,
                            absl::Duration deadline, AssignResult& result) {
  bool cleared = false;
  std::set<std::string> kept;
  for (const HaproxyServer& slot : snapshot.slots) {
    if (slot.address == HaproxySlots::kFreeAddress || slots_.UsedSince(snapshot, slot.name)) {
      continue;
    }
    // In maintenance too: an earlier call may not have come to its end.
    const bool keep = !slot.maintenance && wanted.contains(slot.address);
    if (keep && kept.insert(slot.address).second) continue;
    const absl::Status vacated = slots_.Vacate(slot.name, deadline);
    cleared = true;
    if (wanted.contains(slot.address)) continue;
    if (vacated.ok()) {
      statistics_.Stop(slot.address);
    } else {
      result.left[slot.address] = vacated;
    }
  }
  return cleared;
}

absl::Status HaproxyBalancer::Change(const HaproxyServer& member, const Assignment& wanted,
                                     absl::Duration deadline) const {
  if (wanted.draining) {
    return member.draining ? absl::OkStatus() : slots_.Set(member.name, {"state drain"}, deadline);
  }
  if (wanted.weight_percent > 0 && !member.up) {
    return absl::UnavailableError("HAProxy server \"" + slots_.FullName(member.name) + "\" at " +
                                  wanted.address + " is not UP by its health check; try again");
  }
  std::vector<std::string> what;
  if (member.weight != wanted.weight_percent) {
    what.push_back("weight " + std::to_string(wanted.weight_percent));
  }
  if (member.draining) what.emplace_back("state ready");
  if (!member.up) what.emplace_back("health up");
  return what.empty() ? absl::OkStatus() : slots_.Set(member.name, what, deadline);
}

absl::Status HaproxyBalancer::Enter(const HaproxySlots::Snapshot& snapshot,
                                    const Assignment& wanted, absl::Duration deadline) {
  if (wanted.draining) return absl::OkStatus();
  const std::optional<std::string> slot = slots_.TakeFree(snapshot);
  if (!slot.has_value()) {
    return absl::ResourceExhaustedError(
        "HAProxy backend \"" + slots_.backend() + "\" has " +
        std::to_string(snapshot.slots.size()) +
        " slots and none is free (in maintenance and without connections): its server-template "
        "needs a higher number");
  }
  absl::Status status = slots_.Prepare(snapshot, *slot, wanted.address, deadline);
  if (!status.ok()) return status;
  status = slots_.Open(*slot, deadline);
  if (!status.ok()) return status;
  // The counters of before: at weight 0 nothing has moved them.
  statistics_.Start(wanted.address, *slot, snapshot, slots_.Use(*slot));
  if (wanted.weight_percent == 0) return absl::OkStatus();
  return slots_.Set(*slot, {"weight " + std::to_string(wanted.weight_percent)}, deadline);
}

absl::StatusOr<BalancerView> HaproxyBalancer::View() {
  const auto snapshot = slots_.ReadSnapshot(slots_.Deadline());
  if (!snapshot.ok()) return snapshot.status();
  BalancerView view = statistics_.Describe(*snapshot, clock_.Now().mono);
  const std::lock_guard lock(mutex_);
  for (BalancerMember& member : view.members) {
    const auto found = ids_.find(member.address);
    if (found != ids_.end()) member.id = found->second;
  }
  return view;
}

}  // namespace shadow
