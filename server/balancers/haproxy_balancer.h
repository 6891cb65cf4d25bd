// Balancer on the slots of an HAProxy backend, mode `slots`:
//   server-template slot 1-N 127.0.0.1:9 weight 100 check inter 500ms fall 2 rise 2 disabled
#pragma once

#include <map>
#include <mutex>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/balancers/haproxy_slots.h"
#include "server/balancers/haproxy_statistics.h"
#include "server/core/clock.h"
#include "server/core/ports.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

// A member is a slot that is not in maintenance, known by its address: "127.0.0.1:8080" or
// "[::1]:8080"; anything else is kInvalidArgument. What members there are is asked of HAProxy each
// time; which instance is where, this object remembers of its last Assign.
//
// Beside what ports.h says, both verbs return: kInvalidArgument for a backend or prefix that is not
// a name; kFailedPrecondition, naming it, for a backend that does not exist or has no such slots;
// the errors of HaproxySocket::Run. kInternal quotes a reply that was not understood. Of a single
// assignment also kFailedPrecondition: slots without `check`, a balance algorithm without weights,
// a socket without `level admin`.
//
// One limit, measured on 2.6.12: with `http-reuse never`, `send-proxy` or NTLM, HAProxy keeps a
// server connection for the client it belongs to, shows it nowhere and closes it with that client
// only; such a client goes on reaching who had the slot before. Backends of slots need HAProxy's
// default, `safe`.
//
// `clock` must outlive this and be a real one: HAProxy does not wait for a manual clock.
class HaproxyBalancer final : public Balancer {
 public:
  HaproxyBalancer(const v1::HaproxyBalancer& spec, Clock& clock);

  std::string peer() const override { return peer_; }

  // A member at weight 0 that HAProxy found down is declared healthy, as its ready check has just
  // passed. Of those who go, requests still in flight are broken off; with `retry-on
  // empty-response` HAProxy sends those that have no answer yet to another server.
  // AssignResult::left, kUnavailable: connections are left.
  absl::StatusOr<AssignResult> Assign(std::span<const Assignment> assignments) override;

  // errors_per_second is over at least 1 s and unset before; the backend's response time is
  // HAProxy's mean of the last 512 responses, unset if none came since the View before.
  absl::StatusOr<BalancerView> View() override;

 private:
  using ByAddress = std::map<std::string, const Assignment*>;

  // Empties the slots of addresses that are not `wanted`. True: there were some.
  bool Clear(const HaproxySlots::Snapshot& snapshot, const ByAddress& wanted,
             absl::Duration deadline, AssignResult& result);
  absl::Status Change(const HaproxyServer& member, const Assignment& wanted,
                      absl::Duration deadline) const;
  absl::Status Enter(const HaproxySlots::Snapshot& snapshot, const Assignment& wanted,
                     absl::Duration deadline);

  const std::string peer_;  // The socket's path.
  HaproxySlots slots_;
  HaproxyStatistics statistics_;
  Clock& clock_;
  std::mutex mutex_;                        // Guards what follows.
  std::map<std::string, std::string> ids_;  // By address, of the last Assign.
};

}  // namespace shadow
