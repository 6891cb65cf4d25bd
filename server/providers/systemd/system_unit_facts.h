// What is true of an instance that runs as a unit of the host, as far as the daemon can see it: it
// is of another user, so its environment, files and sockets are closed to the daemon.
#pragma once

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

// Whether what is mounted at `path` is read-only. `mountinfo`: of /proc/PID/mountinfo (proc(5)).
bool IsMountedReadOnly(std::string_view mountinfo, std::string_view path);

}  // namespace shadow
