// Replays of what the store holds: what people ask to be evaluated, and what the daemon scores by
// itself.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/clock.h"
#include "server/core/simulation/demand_series.h"
#include "server/simulation_worker.h"
#include "shadow/v1/simulation_service.pb.h"
#include "storage/store.h"

namespace shadow {

// What the store holds of `pool`'s ("pools/web") demand, up to the last whole step before `now`
// (wall). kCancelled once `cancelled` is true.
absl::StatusOr<simulation::DemandSeries> ReadSeries(Store& store, const std::string& pool,
                                                    absl::Duration step, absl::Time now,
                                                    const std::function<bool()>& cancelled);

// The answer to EvaluatePool; takes seconds. `pool`: as it is shown. Errors: as CompileEvaluation;
// kCancelled.
absl::StatusOr<v1::EvaluatePoolResponse> Evaluate(Store& store,
                                                  const v1::EvaluatePoolRequest& request,
                                                  const v1::Pool& pool, absl::Time now,
                                                  const std::function<bool()>& cancelled);

// The same in short, over the default window, at the policy's own costs. `score_time` is unset.
absl::StatusOr<v1::ObserveScore> ScorePool(Store& store, const v1::Pool& pool, absl::Time now,
                                           const std::function<bool()>& cancelled);

// Has `worker` do that in the background and calls `done` once: with kCancelled if it gave way or
// `worker` is stopping. Returns at once; the references must live until `done` was called.
void ScoreInBackground(Store& store, SimulationWorker& worker, const Clock& clock,
                       const v1::Pool& pool,
                       const std::function<void(absl::StatusOr<v1::ObserveScore>)>& done);

}  // namespace shadow
