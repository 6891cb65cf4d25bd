// Looks at units of a service manager.
#pragma once

#include <systemd/sd-bus.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/core/clock.h"
#include "server/units/units.h"

namespace shadow {

struct UnitQuery {
  std::string prefix;       // UnitPrefix
  std::string store_id;     // Units of other stores are left out.
  std::string id;           // Empty: all.
  absl::Duration deadline;  // On the clock's monotonic time.
};

// Every unit that matches, but those that have ended well and are about to be unloaded; complete or
// an error. What costs the manager a question more is asked only of those that do not run, and
// `control_group` only where the query names an id. missing_controllers is left empty.
absl::StatusOr<std::vector<UnitView>> LookAtUnits(sd_bus* bus, const UnitQuery& query,
                                                  const Clock& clock);

// A text property of the manager, or of a unit. kNotFound: no such unit.
absl::StatusOr<std::string> ReadProperty(sd_bus* bus, const std::string& path,
                                         const char* interface, const char* property);

// Of "cpu", "memory" and "pids", those that the manager was not given. None if that cannot be read.
std::vector<std::string> MissingControllers(sd_bus* bus);

// Below /sys/fs/cgroup: "/user.slice/..." -> "/sys/fs/cgroup/user.slice/...".
std::string CgroupPath(const std::string& control_group);

}  // namespace shadow
