// What a DNA means for a unit: its properties, and what a way of starting units cannot do. Whoever
// starts units computes both again; nothing of it travels. Pure.
//
//   DNA                                   property                              user   system
//   operating_system.root_directory       RootDirectory                         -      yes
//   operating_system.image, root_hash     RootImage, RootHash                   -      yes
//   data_sets, read_only                  BindReadOnlyPaths, ReadOnlyPaths      yes    yes
//   data_sets, writable                   BindPaths                             yes    yes
//   security.user, dynamic_user           User, DynamicUser                     -      yes
//   security.capabilities                 CapabilityBoundingSet,
//                                         AmbientCapabilities                   none   yes
//   security.no_new_privileges            NoNewPrivileges                       yes    yes
//   security.read_only_paths              ReadOnlyPaths                         yes    yes
//   security.protect_system               ProtectSystem, ProtectHome            yes    yes
//   security.private_tmp                  PrivateTmp                            yes    yes
//   security.system_call_filter           SystemCallFilter                      yes    yes
//   security.restrict_address_families    RestrictAddressFamilies               yes    yes
//   security.secrets                      LoadCredential, EnvironmentFile       yes    yes
//   resources.cpu_millis, cpu_weight      CPUQuota, CPUWeight                   yes    yes
//   resources.memory_high_bytes, _max_    MemoryHigh, MemoryMax                 yes    yes
//   resources.tasks_max, open_files_max   TasksMax, LimitNOFILE                 yes    yes
//   process.argv, environment             ExecStart, Environment                yes    yes
//   process.working_directory             WorkingDirectory                      yes    yes
//   process.stop_signal, stop_timeout     KillSignal, TimeoutStopSec            yes    yes
//   process.start_timeout                 TimeoutStartSec                       yes    yes
//   UnitSpec.log_path                     StandardOutput, StandardError         yes    yes
//   UnitSpec.log_path empty               journal, LogExtraFields SHADOW_POOL,
//                                         SHADOW_INSTANCE                       yes    yes
//
// Nothing compares an image with its image_digest: an image needs a root_hash.
//
// In the user way what changes the instance's view of the file system takes a user namespace
// (PrivateUsers), and a filter of system calls takes NoNewPrivileges.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "server/units/units.h"

namespace shadow {

struct UnitBind {
  std::string source;
  std::string target;
  friend bool operator==(const UnitBind&, const UnitBind&) = default;
};
struct UnitCredential {
  std::string name;
  std::string path;
  friend bool operator==(const UnitCredential&, const UnitCredential&) = default;
};
// Only what is named is allowed.
struct UnitAllowed {
  std::vector<std::string> names;
  friend bool operator==(const UnitAllowed&, const UnitAllowed&) = default;
};
// Nothing in its arguments is expanded.
struct UnitCommand {
  std::vector<std::string> argv;
  friend bool operator==(const UnitCommand&, const UnitCommand&) = default;
};
struct UnitEnvironmentFile {
  std::string path;
  friend bool operator==(const UnitEnvironmentFile&, const UnitEnvironmentFile&) = default;
};
struct UnitBytes {
  std::string bytes;
  friend bool operator==(const UnitBytes&, const UnitBytes&) = default;
};

// As org.freedesktop.systemd1(5) names and types it.
struct UnitProperty {
  using Value = std::variant<bool, int32_t, uint64_t, std::string, std::vector<std::string>,
                             std::vector<UnitBind>, std::vector<UnitCredential>, UnitAllowed,
                             UnitCommand, UnitEnvironmentFile, UnitBytes, std::vector<UnitBytes>>;
  std::string name;
  Value value;
  friend bool operator==(const UnitProperty&, const UnitProperty&) = default;
};

struct UnitPlace {
  UnitWay way = UnitWay::kUser;
  std::string slice = "shadow.slice";  // Of the provider.
  // With the secrets as environment variables; it need not exist any more once the unit runs.
  // Empty: the DNA has none.
  std::string environment_file;
};

// OK if a manager of this kind can hold a unit to every field. kFailedPrecondition: a FieldError
// for the first field that it cannot. kInvalidArgument: the same, of a value that means nothing to
// systemd.
absl::Status CheckUnitDna(const v1::Dna& dna, UnitWay way);

// All of a unit that is made, in the order in which they must be set. `unit`: CheckUnitDna.
std::vector<UnitProperty> UnitProperties(const UnitSpec& unit, const UnitPlace& place);

// Of one that runs: the DNA's limits of CPU, each unset one lifted.
std::vector<UnitProperty> RunningLimits(const v1::Dna& dna);

// Of one that is suspended: the least that a manager takes.
std::vector<UnitProperty> SuspendedLimits();

}  // namespace shadow
