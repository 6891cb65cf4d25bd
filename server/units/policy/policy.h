// What root lets the daemon ask of shadowd-units: the policy, and what it says to one unit. The
// paths themselves are looked at in paths.h.
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/units/units.h"
#include "shadow/v1/units.pb.h"

namespace shadow {

// Checks `policy` and fills in its defaults. kInvalidArgument: a FieldError that names the field.
absl::StatusOr<v1::UnitsPolicy> CompileUnitsPolicy(const v1::UnitsPolicy& policy);

// Reads the text protobuf `path` and compiles it. kFailedPrecondition: somebody else than root
// could have written it: the file, or a folder above it. kInvalidArgument: "PATH:LINE:COLUMN: ..."
// or a FieldError. All others: the file.
absl::StatusOr<v1::UnitsPolicy> ReadUnitsPolicy(const std::string& path);

// Well-formed parts of requests. kInvalidArgument: a FieldError.
absl::Status CheckUnitId(const std::string& id);
absl::Status CheckUnitStore(const std::string& store);

// Who the daemon runs as: never the user of a unit, which could then ask as the daemon does.
struct DaemonUser {
  std::string name;
  uid_t uid = 0;
};

// Whether root lets the daemon start `unit`. `policy`: compiled. Looks at no file.
// kInvalidArgument: a FieldError: it has no such form. kFailedPrecondition: a FieldError that names
// the first field that asks for more than the policy grants.
absl::Status CheckPolicy(const v1::UnitsPolicy& policy, const UnitSpec& unit,
                         const DaemonUser& daemon);

// The same of the limits alone, which a resumed unit gets.
absl::Status CheckPolicyLimits(const v1::UnitsPolicy& policy, const v1::Dna& dna);

}  // namespace shadow
