// The seam below the systemd provider: whoever starts, freezes and ends units for it. SdBusUnits
// asks a service manager over D-Bus: the user's own, or the system's inside the privileged helper.
// One fake (tests/fakes/fake_units.h) and one conformance suite.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/core/ports.h"
#include "shadow/v1/dna.pb.h"

namespace shadow {

// Whose service manager: what a DNA may ask for depends on it (unit_properties.h).
enum class UnitWay { kUser, kSystem };

// One unit as it is asked for. Its DNA decides its properties (unit_properties.h), the same for
// whoever computes them.
struct UnitSpec {
  std::string id;             // Of the instance, [a-z0-9]{1,32}.
  std::string pool;           // Short: "web".
  std::string shadow;         // Short; empty for BASE.
  std::string store_id;       // Tag: of the store.
  std::string epoch;          // Of the store, STORE_ID/RANDOM.
  std::string revision_name;  // "dnas/web@0123456789ab"
  v1::Dna dna;
  int port = 0;
  std::string log_path;  // Of standard output and error, appended to; empty: the journal.
};

// What a manager knows of a unit. The tags are those of its UnitSpec.
struct UnitView {
  std::string id, pool, shadow, store_id, epoch, revision_name;
  int port = 0;
  std::string active_state;   // "active", "failed", ...
  std::string sub_state;      // "running", "exited", ...
  std::string freezer_state;  // "running", "frozen", ...; true only of an active unit.
  std::string result;         // "success", "oom-kill", "exit-code", "signal", "timeout", ...
  int main_pid = 0;           // 0: its main process has ended.
  int exec_main_code = 0;     // As si_code of waitid(2): 1 exited, 2 killed, 3 dumped; 0: runs.
  int exec_main_status = 0;   // Exit status, or signal.
  std::string control_group;  // Below /sys/fs/cgroup; empty: it has none (any more).
  // Of "cpu", "memory" and "pids", those that the manager was not given: limits that need them are
  // accepted and not enforced.
  std::vector<std::string> missing_controllers;
  std::optional<ReclaimedMemory> reclaimed;  // As Observation::reclaimed.
};

// Of one store. Thread-safe as Provider (server/core/ports.h): one call at a time for one unit.
// Every call returns within the provider's call_time. kUnavailable: the manager cannot be reached,
// or did not answer in time: what was asked for may have been done.
class Units {
 public:
  virtual ~Units() = default;

  // Begins to start it; get-or-create by id. kFailedPrecondition: a FieldError: the manager could
  // not carry out this field of the DNA, and nothing is left of the unit.
  virtual absl::Status Start(const UnitSpec& unit) = 0;

  // Freezes it, all its processes; then its limits are at their minimum, and its memory begins to
  // be reclaimed. Idempotent. kNotFound: it is gone or has ended.
  virtual absl::Status Suspend(const std::string& id) = 0;

  // Raises its limits to those of the DNA and thaws it. Idempotent. kNotFound: as above.
  virtual absl::Status Resume(const std::string& id, const v1::Dna& dna) = 0;

  // The signal to its main process. kNotFound: as above.
  virtual absl::Status Signal(const std::string& id, int signal) = 0;

  // Begins to end it, thawed, with its stop signal, or at once with `force`. OK if it is gone. One
  // that has not ended well is kept (as "failed") until Forget.
  virtual absl::Status Stop(const std::string& id, bool force) = 0;

  // Drops what is kept of a unit that has ended. OK if it is gone.
  virtual absl::Status Forget(const std::string& id) = 0;

  // Unset: there is no such unit.
  virtual absl::StatusOr<std::optional<UnitView>> Get(const std::string& id) = 0;

  // Every unit of the store, ended ones that are kept too; complete or an error.
  virtual absl::StatusOr<std::vector<UnitView>> List() = 0;

  // As Provider::Listen.
  virtual void Listen(const std::function<void(std::string_view id)>& /*on_change*/) {}
};

}  // namespace shadow
