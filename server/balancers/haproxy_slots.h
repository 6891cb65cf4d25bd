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

  HaproxySlots(const v1::HaproxyBalancer& spec, Clock& clock);

  absl::Duration Deadline() const { return socket_.Deadline(); }

  absl::StatusOr<Snapshot> ReadSnapshot(absl::Duration deadline);

  // Grows with every use of a slot.
  uint64_t Uses();

  // Counts a use of `slot` that is done, and returns Uses().
  uint64_t Use(const std::string& slot);

  bool UsedSince(const Snapshot& snapshot, const std::string& slot);

  // The free slot of `snapshot` that has been out of use longest; this counts as a use. Unset: no
  // slot was free then, or each of them has been used since.
  std::optional<std::string> TakeFree(const Snapshot& snapshot);

  // Gives a free slot its address, at weight 0 and still in maintenance, and waits until no
  // connection of its earlier life is left. kUnavailable: one stays.
  absl::Status Prepare(const Snapshot& snapshot, const std::string& slot,
                       const std::string& address, absl::Duration deadline) const;

  // Ends the maintenance of a prepared slot; UP at once.
  absl::Status Open(const std::string& slot, absl::Duration deadline) const;

  // Breaks off what is in flight and makes the slot free, which counts as a use. kUnavailable: a
  // connection stays.
  absl::Status Vacate(const std::string& slot, absl::Duration deadline);

  // "set server BACKEND/SLOT WHAT" for each of `what`, all in one line.
  absl::Status Set(const std::string& slot, const std::vector<std::string>& what,
                   absl::Duration deadline) const;

  // "web/slot7"
  std::string FullName(const std::string& slot) const { return backend_ + "/" + slot; }

  const std::string& backend() const { return backend_; }

 private:
  static constexpr absl::Duration kPollInterval = absl::Milliseconds(2);

  static bool IsFree(const Snapshot& snapshot, const HaproxyServer& slot);
  absl::StatusOr<std::vector<std::string>> Ask(const std::vector<std::string>& commands,
                                               absl::Duration deadline) const;
  absl::StatusOr<std::vector<HaproxyServer>> ParseSlots(std::string_view reply) const;
  absl::Status WaitForConnections(const std::string& slot, bool idle_too,
                                  absl::Duration deadline) const;

  const std::string backend_;
  const std::string prefix_;
  const HaproxySocket socket_;
  Clock& clock_;

  std::mutex mutex_;  // Guards what follows.
  uint64_t uses_ = 0;
  std::map<std::string, uint64_t> last_uses_;  // By slot that was used by this object.
};

}  // namespace shadow
