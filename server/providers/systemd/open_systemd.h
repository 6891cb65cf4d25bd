// Makes systemd providers: one clear place for the ways to a service manager.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/core/clock.h"
#include "server/core/ports.h"
#include "shadow/v1/pool.pb.h"

namespace shadow {

// Of the daemon and its store.
struct SystemdHome {
  std::string state_dir;
  std::string store_id;
  std::string epoch;
  int64_t log_max_bytes = 1 << 20;
  Clock& clock;  // Must outlive the provider.
};

// Does not ask the manager yet, which could block: whether it answers is the list's to say.
// kFailedPrecondition: its directory cannot be made.
absl::StatusOr<std::unique_ptr<Provider>> OpenSystemdProvider(const SystemdHome& home,
                                                              const v1::SystemdProvider& spec);

}  // namespace shadow
