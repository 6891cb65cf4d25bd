#include "server/balancers/haproxy_slots.h"

#include <algorithm>
#include <condition_variable>
#include <initializer_list>
#include <tuple>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "server/balancers/haproxy_address.h"

namespace shadow {
namespace {

constexpr std::string_view kDefaultPrefix = "slot";

std::string Join(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text.append(part);
  return text;
}

std::string AddressCommand(std::string_view address) {
  const HostPort to = SplitMemberAddress(address);
  return Join({"addr ", to.ip, " port ", to.port});
}

// "" or, to a new address, "IP changed from '...' ... by 'stats socket command'".
bool IsSuccess(std::string_view reply) {
  if (reply.empty()) return true;
  return (reply.starts_with("no need to change the addr, ") ||
          reply.starts_with("IP changed from '")) &&
         reply.ends_with(" by 'stats socket command'\n");
}

// What people have to mend in HAProxy's configuration, as opposed to what we do not understand.
bool IsConfigurationProblem(std::string_view reply) {
  return reply.starts_with("Permission denied") ||
         reply.starts_with("Backend is using a static LB algorithm");
}

bool IsSlotName(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix) || name.size() == prefix.size()) return false;
  name.remove_prefix(prefix.size());
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

HaproxySlots::HaproxySlots(const v1::HaproxyBalancer& spec, Clock& clock)
    : backend_(spec.backend()),
      prefix_(spec.slot_prefix().empty() ? std::string(kDefaultPrefix) : spec.slot_prefix()),
      socket_(spec.socket_path(), clock),
      clock_(clock) {}

absl::StatusOr<HaproxySlots::Snapshot> HaproxySlots::ReadSnapshot(absl::Duration deadline) {
  Snapshot snapshot;
  snapshot.uses_before = Uses();
  const absl::StatusOr<std::vector<std::string>> replies =
      Ask({"show servers state " + backend_, std::string("show stat -1 6 -1"),
           "show servers conn " + backend_, "show info"},
          deadline);
  if (!replies.ok()) return replies.status();
  absl::StatusOr<std::vector<HaproxyServer>> slots = ParseSlots((*replies)[0]);
  if (!slots.ok()) return slots.status();
  auto counters = ParseStat((*replies)[1], backend_);
  if (!counters.ok()) return counters.status();
  auto connections = ParseServersConn((*replies)[2]);
  if (!connections.ok()) return connections.status();
  absl::StatusOr<std::string> epoch = ParseEpoch((*replies)[3]);
  if (!epoch.ok()) return epoch.status();

  // Absent would read as zero: complete or an error.
  bool complete = counters->contains("BACKEND");
  for (const HaproxyServer& slot : *slots) {
    complete = complete && counters->contains(slot.name) && connections->contains(slot.name);
  }
  if (!complete) {
    return absl::InternalError(
        Join({"haproxy socket ", socket_.path(), ": the statistics of backend \"", backend_,
              "\" do not have all of its servers"}));
  }
  snapshot.slots = *std::move(slots);
  snapshot.counters = *std::move(counters);
  snapshot.connections = *std::move(connections);
  snapshot.epoch = *std::move(epoch);
  return snapshot;
}

absl::StatusOr<std::vector<std::string>> HaproxySlots::Ask(const std::vector<std::string>& commands,
                                                           absl::Duration deadline) const {
  if (absl::Status status = CheckHaproxyName("backend", backend_); !status.ok()) return status;
  if (absl::Status status = CheckHaproxyName("slot_prefix", prefix_); !status.ok()) return status;
  return socket_.Run(commands, deadline);
}

absl::StatusOr<std::vector<HaproxyServer>> HaproxySlots::ParseSlots(std::string_view reply) const {
  if (reply.starts_with("Can't find backend")) {
    return absl::FailedPreconditionError(
        Join({"haproxy socket ", socket_.path(), ": there is no backend \"", backend_, "\""}));
  }
  absl::StatusOr<std::vector<HaproxyServer>> servers = ParseServersState(reply);
  if (!servers.ok()) return servers.status();
  std::erase_if(*servers, [&](const HaproxyServer& s) { return !IsSlotName(s.name, prefix_); });
  if (servers->empty()) {
    return absl::FailedPreconditionError(
        Join({"haproxy socket ", socket_.path(), ": backend \"", backend_,
              "\" has no servers named \"", prefix_, "\" and a number: it needs `server-template ",
              prefix_, " 1-N 127.0.0.1:9 weight 100 check disabled`"}));
  }
  return servers;
}

uint64_t HaproxySlots::Uses() {
  const std::lock_guard lock(mutex_);
  return uses_;
}

bool HaproxySlots::IsFree(const Snapshot& snapshot, const HaproxyServer& slot) {
  return slot.maintenance && snapshot.counters.at(slot.name).in_flight == 0 &&
         snapshot.connections.at(slot.name).used == 0;
}

uint64_t HaproxySlots::Use(const std::string& slot) {
  const std::lock_guard lock(mutex_);
  return last_uses_[slot] = ++uses_;
}

bool HaproxySlots::UsedSince(const Snapshot& snapshot, const std::string& slot) {
  const std::lock_guard lock(mutex_);
  const auto found = last_uses_.find(slot);
  return found != last_uses_.end() && found->second > snapshot.uses_before;
}

std::optional<std::string> HaproxySlots::TakeFree(const Snapshot& snapshot) {
  const std::lock_guard lock(mutex_);
  const auto last = [this](const HaproxyServer& slot) {
    const auto found = last_uses_.find(slot.name);
    return found == last_uses_.end() ? 0 : found->second;
  };
  // By our own use, then by HAProxy's last change of state (from before our start), then by number.
  const auto rank = [&](const HaproxyServer& slot) {
    return std::make_tuple(last(slot), -slot.seconds_since_change, slot.name.size());
  };
  const HaproxyServer* best = nullptr;
  for (const HaproxyServer& slot : snapshot.slots) {
    if (last(slot) > snapshot.uses_before || !IsFree(snapshot, slot)) continue;
    if (best == nullptr || rank(slot) < rank(*best)) best = &slot;
  }
  if (best == nullptr) return std::nullopt;
  last_uses_[best->name] = ++uses_;
  return best->name;
}

absl::Status HaproxySlots::Prepare(const Snapshot& snapshot, const std::string& slot,
                                   const std::string& address, absl::Duration deadline) const {
  const auto now = std::find_if(snapshot.slots.begin(), snapshot.slots.end(),
                                [&](const HaproxyServer& s) { return s.name == slot; });
  if (now == snapshot.slots.end() || !now->checked) {
    return absl::FailedPreconditionError(Join({"HAProxy server \"", FullName(slot),
                                               "\" has no health check: add `check` to its "
                                               "server-template"}));
  }
  // A changed address makes HAProxy close the slot's idle connections; such that were in use at
  // that moment would come back and carry requests to the old address (measured on 2.6.12), hence
  // only slots without any are free.
  std::vector<std::string> commands = {"weight 0"};
  if (now->address == address) commands.push_back(AddressCommand(kFreeAddress));
  commands.push_back(AddressCommand(address));
  if (absl::Status status = Set(slot, commands, deadline); !status.ok()) return status;
  return WaitForConnections(slot, true, deadline);
}

absl::Status HaproxySlots::Open(const std::string& slot, absl::Duration deadline) const {
  // `ready` alone makes it UP but one failed check away from DOWN, and a check of the old address
  // may still be under way: `health up` gives it the full margin.
  return Set(slot, {"state ready", "health up"}, deadline);
}

absl::Status HaproxySlots::Vacate(const std::string& slot, absl::Duration deadline) {
  const absl::Cleanup used = [&] { Use(slot); };
  if (absl::Status status = Set(slot, {"state maint", "weight 0"}, deadline); !status.ok()) {
    return status;
  }
  const auto replies = Ask({"shutdown sessions server " + FullName(slot)}, deadline);
  if (!replies.ok()) return replies.status();
  // Only a slot without connections in use gets its free address back: until then each Assign finds
  // it again, and nobody enters it. The new address makes HAProxy close the idle ones.
  if (absl::Status status = WaitForConnections(slot, false, deadline); !status.ok()) return status;
  if (absl::Status status = Set(slot, {AddressCommand(kFreeAddress)}, deadline); !status.ok()) {
    return status;
  }
  return WaitForConnections(slot, true, deadline);
}

absl::Status HaproxySlots::Set(const std::string& slot, const std::vector<std::string>& what,
                               absl::Duration deadline) const {
  std::vector<std::string> commands;
  commands.reserve(what.size());
  for (const std::string& part : what) {
    commands.push_back(Join({"set server ", FullName(slot), " ", part}));
  }
  const absl::StatusOr<std::vector<std::string>> replies = Ask(commands, deadline);
  if (!replies.ok()) return replies.status();
  for (size_t i = 0; i < replies->size(); ++i) {
    const std::string& reply = (*replies)[i];
    if (IsSuccess(reply)) continue;
    const auto code = IsConfigurationProblem(reply) ? absl::StatusCode::kFailedPrecondition
                                                    : absl::StatusCode::kInternal;
    return absl::Status(code, Join({"haproxy socket ", socket_.path(), ": `", commands[i],
                                    "` was answered with ", QuoteReply(reply)}));
  }
  return absl::OkStatus();
}

absl::Status HaproxySlots::WaitForConnections(const std::string& slot, bool idle_too,
                                              absl::Duration deadline) const {
  std::mutex mutex;
  std::condition_variable never;
  while (true) {
    const auto replies = Ask({"show servers conn " + backend_}, deadline);
    if (!replies.ok()) return replies.status();
    const auto connections = ParseServersConn(replies->front());
    if (!connections.ok()) return connections.status();
    const auto found = connections->find(slot);
    if (found == connections->end()) {
      return absl::InternalError(Join({"HAProxy server \"", FullName(slot), "\" is gone"}));
    }
    const int64_t left = found->second.used + (idle_too ? found->second.idle : 0);
    if (left == 0) return absl::OkStatus();
    const absl::Duration now = clock_.Now().mono;
    if (now + kPollInterval >= deadline) {
      return absl::UnavailableError(Join({"HAProxy server \"", FullName(slot), "\" still has ",
                                          std::to_string(left), " connections; try again"}));
    }
    std::unique_lock lock(mutex);
    clock_.WaitUntil(lock, never, now + kPollInterval);
  }
}

}  // namespace shadow
