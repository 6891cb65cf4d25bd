// What a start does before the loop begins: the pools learn what the last daemon had not saved.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/core/loop/control_loop.h"
#include "server/step_workers.h"
#include "storage/store.h"

namespace shadow {

// `loop` is loaded; Recover is to follow. Makes the fits that were lost, and replays the
// samples up to `now` that came after the last save.
absl::Status Relearn(Store& store, ControlLoop& loop, StepWorkers& workers, absl::Time now);

}  // namespace shadow
