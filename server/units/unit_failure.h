// Why a unit did not start, or how it ended. Pure.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "server/units/units.h"

namespace shadow {

// Of a unit whose program was never executed, by the exit status that systemd gives it then
// (systemd.exec(5), "Process Exit Codes"): kFailedPrecondition, a FieldError for the field of the
// DNA that could not be carried out. OK: that is not why it has ended.
absl::Status StartFailure(const UnitView& unit, const v1::Dna& dna);

// "exit status 3", "killed by SIGKILL", "out of memory, killed by SIGKILL", ... of one that has
// ended.
std::string EndReason(const UnitView& unit);

}  // namespace shadow
