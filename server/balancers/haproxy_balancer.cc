#include "server/balancers/haproxy_balancer.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "server/balancers/haproxy_address.h"
#include "server/balancers/haproxy_replies.h"
#include "server/core/error.h"

namespace shadow {

HaproxyBalancer::HaproxyBalancer(const v1::HaproxyBalancer& spec, Clock& clock)
    : peer_(spec.socket_path()), slots_(spec, clock), clock_(clock) {}

absl::Status HaproxyBalancer::Add(const std::string& address) {
  if (absl::Status status = CheckMemberAddress(address); !status.ok()) return status;
  const absl::Duration deadline = slots_.Deadline();
  for (int i = 0; i < kTriesMax; ++i) {
    const auto snapshot = slots_.ReadSnapshot(deadline);
    if (!snapshot.ok()) return snapshot.status();
    for (const HaproxyServer& slot : snapshot->slots) {
      if (slot.maintenance || slot.address != address) continue;
      if (slot.up) return absl::OkStatus();
      return slots_.Set(slot.name, {"health up"}, deadline);
    }
    if (!HaproxySlots::HasFree(*snapshot)) {
      return absl::ResourceExhaustedError(
          "HAProxy backend \"" + slots_.backend() + "\" has " +
          std::to_string(snapshot->slots.size()) +
          " slots and none is free (in maintenance and without connections): its server-template "
          "needs a higher number");
    }
    const auto reservation = slots_.ReserveFree(*snapshot);
    if (reservation) return Fill(*snapshot, reservation->slot(), address, deadline);
  }
  return absl::UnavailableError("the slots of HAProxy backend \"" + slots_.backend() +
                                "\" are all being changed; try again");
}

absl::Status HaproxyBalancer::Fill(const HaproxySlots::Snapshot& snapshot, const std::string& slot,
                                   const std::string& address, absl::Duration deadline) {
  absl::Status status = slots_.Prepare(snapshot, slot, address, deadline);
  if (!status.ok()) return status;
  status = slots_.Open(slot, deadline);
  if (!status.ok()) return status;
  // The counters of before: at weight 0 nothing has moved them.
  statistics_.Start(address, slot, snapshot, slots_.Uses());
  return absl::OkStatus();
}

absl::Status HaproxyBalancer::SetWeight(const std::string& address, int weight_percent) {
  if (absl::Status status = CheckMemberAddress(address); !status.ok()) return status;
  if (weight_percent < 1 || weight_percent > kFullWeightPercent) {
    return FieldError("weight_percent", std::to_string(weight_percent) + " is not in [1, 100]");
  }
  const absl::Duration deadline = slots_.Deadline();
  const absl::StatusOr<HaproxyServer> member = FindMember(address, deadline);
  if (!member.ok()) return member.status();
  if (!member->up) {
    return absl::UnavailableError("HAProxy server \"" + slots_.FullName(member->name) + "\" at " +
                                  address + " is not UP by its health check; try again");
  }
  std::vector<std::string> what = {"weight " + std::to_string(weight_percent)};
  if (member->draining) what.emplace_back("state ready");
  return slots_.Set(member->name, what, deadline);
}

absl::Status HaproxyBalancer::Drain(const std::string& address) {
  if (absl::Status status = CheckMemberAddress(address); !status.ok()) return status;
  const absl::Duration deadline = slots_.Deadline();
  const absl::StatusOr<HaproxyServer> member = FindMember(address, deadline);
  if (absl::IsNotFound(member.status())) return absl::OkStatus();
  if (!member.ok()) return member.status();
  if (member->draining) return absl::OkStatus();
  return slots_.Set(member->name, {"state drain"}, deadline);
}

absl::Status HaproxyBalancer::Remove(const std::string& address) {
  if (absl::Status status = CheckMemberAddress(address); !status.ok()) return status;
  const absl::Duration deadline = slots_.Deadline();
  // Until a look finds it nowhere: in maintenance too, as an earlier Remove may not have come to
  // its end.
  for (int i = 0; i < kTriesMax; ++i) {
    const auto snapshot = slots_.ReadSnapshot(deadline);
    if (!snapshot.ok()) return snapshot.status();
    const auto slot =
        std::find_if(snapshot->slots.begin(), snapshot->slots.end(), [&](const HaproxyServer& s) {
          return s.address == address && s.address != HaproxySlots::kFreeAddress;
        });
    if (slot == snapshot->slots.end()) {
      statistics_.Stop(address);
      return absl::OkStatus();
    }
    const auto reservation = slots_.Reserve(*snapshot, slot->name);
    if (!reservation) continue;
    if (absl::Status status = slots_.Vacate(slot->name, deadline); !status.ok()) return status;
  }
  return absl::UnavailableError("the slot of " + address + " in HAProxy backend \"" +
                                slots_.backend() + "\" is being changed; try again");
}

absl::StatusOr<BalancerView> HaproxyBalancer::List() {
  const auto snapshot = slots_.ReadSnapshot(slots_.Deadline());
  if (!snapshot.ok()) return snapshot.status();
  return statistics_.Describe(*snapshot, clock_.Now().mono);
}

absl::StatusOr<HaproxyServer> HaproxyBalancer::FindMember(const std::string& address,
                                                          absl::Duration deadline) const {
  const absl::StatusOr<std::vector<HaproxyServer>> slots = slots_.Read(deadline);
  if (!slots.ok()) return slots.status();
  for (const HaproxyServer& slot : *slots) {
    if (!slot.maintenance && slot.address == address) return slot;
  }
  return absl::NotFoundError(address + " is in no slot of HAProxy backend \"" + slots_.backend() +
                             "\": Add it first");
}

}  // namespace shadow
