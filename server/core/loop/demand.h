// A pool's demand: samples in, steps closed, forecasts read. One thread at a time for a pool: the
// control thread, or one that it lends the pool to.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"
#include "server/core/loop/changes.h"

namespace shadow {

using Samples = google::protobuf::RepeatedPtrField<v1::Sample>;

// kInvalidArgument, a FieldError below `field` that names the first bad one: not finite, negative,
// not after the sample before it or the last one of the pool, or more than a step ahead of `now`.
absl::Status CheckSamples(const PoolEntry& pool, const Samples& samples, absl::Time now,
                          const std::string& field);
// The same after `last` instead of the last one of the pool.
absl::Status CheckSamples(const PoolEntry& pool, const Samples& samples, absl::Time now,
                          const std::string& field, absl::Time last);

// Takes checked samples: closes the steps before the last one, feeds the forecaster, and gives them
// to the store. A step that is over is closed and decided on at once, unless it awaits a fit. Then
// DecideSoon.
void Ingest(Changes& changes, PoolEntry& pool, const Samples& samples);

// What the level follows is new: the next tick decides it, once for all that is new until then. In
// each activation interval it does so at once one time. What comes after that waits for the end of
// the interval, so that nobody who pushes samples quickly causes a decision for each.
void DecideSoon(Changes& changes, PoolEntry& pool);

// The same of stored samples, oldest first; any thread that has the pool for itself. What was live
// before is so again.
void Replay(PoolEntry& pool, const Samples& samples);
// Closes the open step of a replay if it ended by `until`.
void CloseReplayed(PoolEntry& pool, absl::Time until);

// Closes the open step if it ended by `until`, `now` being the present: forecaster and capacity get
// its mean. A step without a sample stays missing. True: one was closed.
bool CloseSteps(PoolEntry& pool, absl::Time until, absl::Time now);

// By the forecaster's own verdict. A season after the last step nothing of the latest one is known,
// and what is there is only good to look at.
TrustVerdict TrustAt(const PoolEntry& pool, absl::Time now);
// The same where the forecaster's verdict is known.
TrustVerdict TrustAt(const PoolEntry& pool, absl::Time now, TrustVerdict verdict);

// Whether a SIZE decision is due, and before it the steps that ended are to be closed.
bool StepIsOver(const PoolEntry& pool, absl::Time now);

// Start of the step that holds `time`: multiples of `step` since the Unix epoch.
absl::Time StepStart(absl::Time time, absl::Duration step);

// What is known of the demand now; stale by the policy's usage_max_age.
v1::Usage UsageNow(const PoolEntry& pool, absl::Time now);

// The highest quantiles, at the pool's service level, of the steps through the one that holds `now`
// + `activation_lead`, and of those of the look-ahead. `verdict`: the forecaster's own.
Outlook OutlookAt(const PoolEntry& pool, absl::Time now, ForecastTrust verdict,
                  absl::Duration activation_lead);

inline constexpr int kForecastStepsMax = kForecastRowsMax;

// The furthest horizon that can be asked for: two of the longest seasons, and kForecastStepsMax at
// least.
int64_t HorizonStepsMax(const CompiledPool& spec);

// The steps that one row of a forecast over `steps` stands for. 1, or the fewest with which
// kForecastStepsMax rows are enough and which divide a day where they can. Worked: a week of
// minutes has 10,080 steps, and rows of 5.
int64_t RowSteps(absl::Duration pool_step, int64_t steps);

// Paths from the step that holds `now` over `steps` steps, in rows of RowSteps.
// kFailedPrecondition: no history.
absl::StatusOr<v1::Forecast> ForecastFrom(const PoolEntry& pool, absl::Time now, int64_t steps,
                                          const std::vector<double>& quantiles);

// Rows from the step that holds `now`, each for `stride` steps, at most kForecastStepsMax; columns
// as `quantiles`. kFailedPrecondition: no history, or none recent enough.
absl::StatusOr<std::vector<std::vector<double>>> ForecastRows(const PoolEntry& pool, absl::Time now,
                                                              int rows, int64_t stride,
                                                              const std::vector<double>& quantiles);

}  // namespace shadow
