// The slots of an HAProxy backend: what is in them, who works on them, how they are filled and
// emptied.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/balancers/haproxy_replies.h"
#include "server/balancers/haproxy_socket.h"
#include "server/core/clock.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

// A slot is a server of `backend` named `slot_prefix` and a number, e.g. "slot7". It is free while
// in maintenance and without connections. No other server is ever touched. All methods that take a
// `deadline` (monotonic) ask HAProxy and return the errors that HaproxyBalancer lists.
// Thread-safe; no lock is held while HAProxy is asked. `clock` must outlive this and be a real one.
class HaproxySlots {
 public:
  // Where a free slot points to: the discard port, as in the server-template.
  static constexpr std::string_view kFreeAddress = "127.0.0.1:9";

  // Everything that HAProxy says at one moment. `counters` has every slot and "BACKEND".
  struct Snapshot {
    std::string epoch;
    std::vector<HaproxyServer> slots;
    std::map<std::string, HaproxyCounters> counters;
    std::map<std::string, HaproxyConnections> connections;
    uint64_t uses_before = 0;  // Uses() when the question was asked.
  };

  // The right to fill or empty one slot; given back on destruction, also to be counted as a use.
  class Reservation {
   public:
    Reservation(HaproxySlots& slots, std::string slot);
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation();
    const std::string& slot() const { return slot_; }

   private:
    HaproxySlots* slots_;
    std::string slot_;
  };

  HaproxySlots(const v1::HaproxyBalancer& spec, Clock& clock);

  absl::Duration Deadline() const { return socket_.Deadline(); }

  absl::StatusOr<std::vector<HaproxyServer>> Read(absl::Duration deadline) const;
  absl::StatusOr<Snapshot> ReadSnapshot(absl::Duration deadline);

  // Grows with every reservation and its end.
  uint64_t Uses();

  // A free slot of `snapshot`, the one whose last use is longest ago; or a certain slot. Unset if
  // there is none, or if it was or is reserved by another call since the snapshot, which is then
  // out of date.
  std::optional<Reservation> ReserveFree(const Snapshot& snapshot);
  std::optional<Reservation> Reserve(const Snapshot& snapshot, const std::string& slot);

  // Whether the snapshot has a free slot, reserved or not.
  static bool HasFree(const Snapshot& snapshot);

  // Gives a free slot its address, at weight 0 and still in maintenance, and waits until no
  // connection of its earlier life is left. kUnavailable: one stays.
  absl::Status Prepare(const Snapshot& snapshot, const std::string& slot,
                       const std::string& address, absl::Duration deadline) const;

  // Ends the maintenance of a prepared slot; UP at once.
  absl::Status Open(const std::string& slot, absl::Duration deadline) const;

  // Breaks off what is in flight and makes the slot free. kUnavailable: a connection stays.
  absl::Status Vacate(const std::string& slot, absl::Duration deadline) const;

  // "set server BACKEND/SLOT WHAT" for each of `what`, all in one line.
  absl::Status Set(const std::string& slot, const std::vector<std::string>& what,
                   absl::Duration deadline) const;

  // "web/slot7"
  std::string FullName(const std::string& slot) const { return backend_ + "/" + slot; }

  const std::string& backend() const { return backend_; }

 private:
  static constexpr absl::Duration kPollInterval = absl::Milliseconds(2);

  struct SlotUse {
    uint64_t last = 0;  // 0: not used by this object yet.
    bool busy = false;
  };

  static bool IsFree(const Snapshot& snapshot, const HaproxyServer& slot);
  absl::StatusOr<std::vector<std::string>> Ask(const std::vector<std::string>& commands,
                                               absl::Duration deadline) const;
  absl::StatusOr<std::vector<HaproxyServer>> ParseSlots(std::string_view reply) const;
  absl::Status WaitForConnections(const std::string& slot, bool idle_too,
                                  absl::Duration deadline) const;
  void Release(const std::string& slot);

  const std::string backend_;
  const std::string prefix_;
  const HaproxySocket socket_;
  Clock& clock_;

  std::mutex mutex_;  // Guards what follows.
  uint64_t uses_ = 0;
  std::map<std::string, SlotUse> use_by_slot_;  // As many as the backend has slots.
};

}  // namespace shadow
