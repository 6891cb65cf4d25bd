// Demand as the arrivals at an HAProxy frontend.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/balancers/haproxy_socket.h"
#include "server/core/clock.h"
#include "server/core/ports.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

// One object for one pool. Arrivals, not completions: completions saturate when capacity is short.
// Thread-safe; no lock is held while HAProxy is asked. `clock` must outlive this.
class HaproxyUsage final : public UsageSource {
 public:
  HaproxyUsage(const v1::HaproxyUsage& spec, const Clock& clock);

  // One sample at most: arrivals per second between the previous Read and this one, stamped now.
  // Worked value: req_tot 1200 at 10.0 s and 1500 at 12.5 s of one HAProxy process: 120/s.
  // Empty: the first read; the first after HAProxy restarted, or its counter fell; less than
  // kIntervalMin after the read before; a wall clock that is not after `since`. kInvalidArgument:
  // the frontend is not a name. kFailedPrecondition, naming it: there is no such frontend, or it
  // does not count this metric (requests in TCP mode). Otherwise as HaproxySocket::Run; kInternal
  // quotes a reply that was not understood.
  absl::StatusOr<UsageReading> Read(const std::string& pool, absl::Time since) override;

 private:
  static constexpr absl::Duration kIntervalMin = absl::Milliseconds(100);

  struct Count {
    std::string epoch;
    int64_t arrivals = 0;
    absl::Duration mono;
  };

  absl::StatusOr<Count> ReadCount() const;

  const std::string frontend_;
  const bool requests_;  // Otherwise sessions.
  const HaproxySocket socket_;
  const Clock& clock_;

  std::mutex mutex_;  // Guards what follows.
  std::optional<Count> before_;
};

}  // namespace shadow
