// HAProxy's counters, which count since it started, turned into what BalancerView promises: since
// the member was brought in.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "server/balancers/haproxy_replies.h"
#include "server/balancers/haproxy_response_time.h"
#include "server/balancers/haproxy_slots.h"
#include "server/core/ports.h"

namespace shadow {

// Kept in memory: a member that is found without a baseline (this daemon or HAProxy restarted) gets
// one at first sight. Thread-safe.
class HaproxyStatistics {
 public:
  // Over which backend rates are taken, at least.
  static constexpr absl::Duration kRateWindow = absl::Seconds(1);

  // `address` has moved into `slot` since `snapshot`, at weight 0. `use`: HaproxySlots::Uses() now.
  void Start(const std::string& address, const std::string& slot,
             const HaproxySlots::Snapshot& snapshot, uint64_t use);

  void Stop(const std::string& address);

  // The view of `snapshot`, taken at `mono`. Members are its slots that are neither in maintenance
  // nor at the free address.
  BalancerView Describe(const HaproxySlots::Snapshot& snapshot, absl::Duration mono);

 private:
  struct Baseline {
    std::string slot;
    HaproxyCounters counters;
    ResponseTimeSince response_time;
    uint64_t use = 0;
  };
  struct BackendReading {
    absl::Duration mono;
    HaproxyCounters counters;
  };

  // All with mutex_.
  void NoteEpoch(const std::string& epoch);
  BalancerMember DescribeMember(const HaproxyServer& slot, const HaproxyCounters& counters,
                                uint64_t uses_before);
  void DescribeBackend(const HaproxySlots::Snapshot& snapshot, absl::Duration mono,
                       BalancerView& view);

  std::mutex mutex_;  // Guards what follows.
  std::string epoch_;
  std::map<std::string, Baseline> baselines_;  // By address. Describe forgets who is no member.
  std::optional<BackendReading> rate_start_;
  std::optional<double> errors_per_second_;
  std::optional<int64_t> responses_before_;
};

}  // namespace shadow
