// Balancer on the slots of an HAProxy backend, mode `slots`:
//   server-template slot 1-N 127.0.0.1:9 weight 100 check inter 500ms fall 2 rise 2 disabled
#pragma once

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
// time.
//
// Beside what ports.h says, every verb returns: kInvalidArgument for a backend or prefix that is
// not a name; kFailedPrecondition, naming it, for a backend that does not exist, has no such slots
// or slots without `check`, for a balance algorithm without weights, and for a socket without
// `level admin`; the errors of HaproxySocket::Run. kInternal quotes a reply that was not
// understood.
//
// One limit, measured on 2.6.12: with `http-reuse never`, `send-proxy` or NTLM, HAProxy keeps a
// server connection for the client it belongs to, shows it nowhere and closes it with that client
// only; such a client goes on reaching who had the slot before. Backends of slots need HAProxy's
// default, `safe`.
//
// Thread-safe. `clock` must outlive this and be a real one: HAProxy does not wait for a manual
// clock.
class HaproxyBalancer final : public Balancer {
 public:
  HaproxyBalancer(const v1::HaproxyBalancer& spec, Clock& clock);

  std::string peer() const override { return peer_; }

  // A member that is there already keeps its weight, but is declared healthy again if HAProxy found
  // it down, as the caller's ready check has just passed. No request reaches a new one before
  // SetWeight.
  absl::Status Add(const std::string& address) override;
  absl::Status SetWeight(const std::string& address, int weight_percent) override;
  absl::Status Drain(const std::string& address) override;

  // Requests still in flight are broken off; with `retry-on empty-response` HAProxy sends those
  // that have no answer yet to another server. kUnavailable: connections are left; try again.
  absl::Status Remove(const std::string& address) override;

  // The epoch is HAProxy's pid and start time. errors_per_second is over at least 1 s and unset
  // before; the backend's response time is HAProxy's mean of the last 512 responses, unset if none
  // came since the List before.
  absl::StatusOr<BalancerView> List() override;

 private:
  // How often a verb looks again when another call takes the slot it had chosen.
  static constexpr int kTriesMax = 16;

  absl::StatusOr<HaproxyServer> FindMember(const std::string& address,
                                           absl::Duration deadline) const;
  absl::Status Fill(const HaproxySlots::Snapshot& snapshot, const std::string& slot,
                    const std::string& address, absl::Duration deadline);

  const std::string peer_;  // The socket's path.
  HaproxySlots slots_;
  HaproxyStatistics statistics_;
  Clock& clock_;
};

}  // namespace shadow
