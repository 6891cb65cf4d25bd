// What a DNA's names and numbers mean on Linux: signals, users, capabilities, limits and ports. It
// looks at nothing of this host, unlike process_plan.h. Pure, any thread.
#pragma once

#include "absl/status/statusor.h"
#include "server/core/ports.h"
#include "shadow/v1/dna.pb.h"

namespace shadow {

struct ProcessDna {
  int stop_signal = 0;    // e.g. SIGTERM
  int resume_signal = 0;  // Of the resume hook; 0: none.
  int port_min = 0;
  int port_max = 0;  // Inclusive, not below `port_min`.
};

// `dna`: the core has checked it (CompileDna). kInvalidArgument: a FieldError whose path begins
// with "dna.": a value that means nothing on Linux, or is out of its bounds there.
// kFailedPrecondition: the same, of a field that only a cluster has.
absl::StatusOr<ProcessDna> CompileProcessDna(const v1::Dna& dna);

// The same of an instance; of one whose id is all that is known, the defaults.
absl::StatusOr<ProcessDna> CompileProcessDna(const InstanceSpec& instance);

}  // namespace shadow
