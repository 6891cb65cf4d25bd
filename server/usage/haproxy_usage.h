// Demand as the arrivals at frontends and backends of one HAProxy.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/balancers/haproxy_replies.h"
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

  std::string peer() const override { return socket_.path(); }

  // One sample at most: arrivals per second between the previous Read and this one, of all that the
  // spec names, stamped now. Worked value: req_tot 1200 and 300 at 10.0 s, 1500 and 340 at 12.5 s,
  // of one HAProxy process: 340 more, 136/s. Empty: the first read; the first after HAProxy
  // restarted, or one of its counters fell; less than kIntervalMin after the read before; a wall
  // clock that is not after `since`. kInvalidArgument: nothing is named, or not by a name.
  // kFailedPrecondition, naming it: HAProxy lacks one of them, or does not count this metric
  // there (requests in TCP mode). Otherwise as HaproxySocket::Run; kInternal quotes a reply that
  // was not understood.
  absl::StatusOr<UsageReading> Read(const std::string& pool, absl::Time since) override;

 private:
  static constexpr absl::Duration kIntervalMin = absl::Milliseconds(100);

  struct Proxy {
    bool backend = false;  // Otherwise a frontend.
    std::string name;
  };
  struct Counts {
    std::string epoch;
    std::vector<int64_t> arrivals;  // Parallel to proxies_.
    absl::Duration mono;
  };

  static std::vector<Proxy> Proxies(const v1::HaproxyUsage& spec);
  // "frontend", "backend"
  static const char* Kind(const Proxy& proxy) { return proxy.backend ? "backend" : "frontend"; }

  absl::StatusOr<Counts> ReadCounts() const;
  absl::StatusOr<int64_t> Arrivals(const HaproxyTable& table, const Proxy& proxy) const;
  // Between the two; unset: they cannot be compared.
  static std::optional<int64_t> Arrived(const Counts& before, const Counts& after);

  const std::vector<Proxy> proxies_;
  const bool requests_;  // Otherwise sessions.
  const HaproxySocket socket_;
  const Clock& clock_;

  std::mutex mutex_;  // Guards what follows.
  std::optional<Counts> before_;
};

}  // namespace shadow
