// Demand as the CPU, the memory or the pressure of one cgroup (v2), e.g. of a pool's slice.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/core/ports.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

// One object for one pool. Thread-safe. `clock` must outlive this.
class CgroupUsage final : public UsageSource {
 public:
  // `directory`: of the cgroup, absolute; empty: none is known, and each Read fails.
  CgroupUsage(v1::CgroupUsage::Metric metric, std::string directory, const Clock& clock);

  std::string peer() const override { return directory_; }

  // One sample at most, stamped now. MEMORY: bytes. CPU: cores in use between the previous Read and
  // this one. Worked value: usage_usec 4,000,000 at 10.0 s, 9,000,000 at 12.5 s: 5 s of CPU in 2.5
  // s, 2 cores. Pressures: percent of that time in which some process waited, from `total`.
  //
  // Empty: the first read, the first of another cgroup of this path, or after the count fell; less
  // than kIntervalMin after the read before; a wall clock that is not after `since`.
  // kFailedPrecondition, naming the file: there is no such cgroup, its controller is not enabled,
  // the kernel has no PSI. kUnavailable: it cannot be read. kInternal: it was not understood.
  absl::StatusOr<UsageReading> Read(const std::string& pool, absl::Time since) override;

 private:
  static constexpr absl::Duration kIntervalMin = absl::Milliseconds(100);

  struct Count {
    uint64_t cgroup = 0;  // Tells two of one path apart.
    uint64_t micros = 0;
    absl::Duration mono;
  };

  // Of a metric that grows; unset: the two cannot be compared.
  std::optional<double> Rate(const Count& count);

  const v1::CgroupUsage::Metric metric_;
  const std::string directory_;
  const Clock& clock_;

  std::mutex mutex_;  // Guards what follows.
  std::optional<Count> before_;
};

}  // namespace shadow
