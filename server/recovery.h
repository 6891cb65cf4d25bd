// What a start does before the loop begins: whether the store knows of all that lives, and the
// pools learn what the last daemon had not saved.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/core/loop/control_loop.h"
#include "server/core/ports.h"
#include "server/workers/step_workers.h"
#include "storage/store.h"

namespace shadow {

// kDataLoss, naming them: instances live that a newer store than this one made, whose newest event
// is `revision`. It was lost, or replaced by an older copy; what it knew of them is not an order to
// end them. kUnavailable: the provider does not answer.
absl::Status CheckNoneAhead(Provider& provider, int64_t revision);

// Ends them by force, because a person said so. kDeadlineExceeded: one lives on.
absl::Status EndThoseAhead(Provider& provider, int64_t revision, Clock& clock);

// `loop` is loaded; Recover is to follow. Makes the fits that were lost, and replays the
// samples up to `now` that came after the last save.
absl::Status Relearn(Store& store, ControlLoop& loop, StepWorkers& workers, absl::Time now);

}  // namespace shadow
