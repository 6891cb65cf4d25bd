// What is true of an instance that runs as a unit of the host, as far as the daemon can see it: it
// is of another user, so its environment, files and sockets are closed to the daemon.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/core/clock.h"
#include "server/providers/facts/verify.h"
#include "server/units/units.h"

namespace shadow {

// As CollectUnitFacts. Verify commands run as the daemon's user and without capabilities. A dynamic
// user is the wanted one if it is of systemd's range.
absl::StatusOr<Facts> CollectSystemUnitFacts(const CompiledDna& dna, const UnitView& unit,
                                             const std::string& store_id, Clock& clock,
                                             const std::stop_token& stop);

// By the text of /proc/PID/mountinfo (proc(5)), which everyone may read. Pure.
struct UnitMount {
  std::string root;   // What of its file system is mounted.
  std::string point;  // Where.
  bool read_only = false;
};
// The mount that `path` is on; unset: none is known.
std::optional<UnitMount> MountAt(std::string_view mountinfo, std::string_view path);
bool IsMountedReadOnly(std::string_view mountinfo, std::string_view path);
v1::Security::ProtectSystem ProtectionBy(std::string_view mountinfo);
bool HasPrivateTmp(std::string_view mountinfo);

}  // namespace shadow
