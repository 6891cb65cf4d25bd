// What is true of an instance that runs as a unit (facts/verify.h).
#pragma once

#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "server/core/clock.h"
#include "server/providers/facts/verify.h"
#include "server/providers/process_record.h"
#include "server/units/units.h"

namespace shadow {

// The main process of a unit that runs, as the process provider's records have it, so that its
// facts are read the same way. kNotFound: it has none.
absl::StatusOr<ProcessRecord> RecordOfUnit(const UnitView& unit);

// As CollectFacts, but limits are those of its control group, and what the unit itself has mounted
// read-only is not writable. A limit whose controller the manager does not have is not looked at:
// the pool's condition says that it is not enforced.
absl::StatusOr<Facts> CollectUnitFacts(const CompiledDna& dna, const UnitView& unit,
                                       const std::string& store_id, Clock& clock,
                                       const std::stop_token& stop);

}  // namespace shadow
