// History for a pool that runs: samples older than what it has. Once they are durable the pool
// learns again from all that is stored, in the background, and then goes on by that. Control thread
// only, but LearnAgain.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/core/loop/changes.h"
#include "server/core/loop/demand.h"
#include "shadow/v1/usage_service.pb.h"

namespace shadow {

// Takes those of `samples` that are before the pool's oldest or after its newest, and says how
// many. kInvalidArgument, a FieldError below `samples`: one is no sample (CheckSamples), or lies
// between them and `overlap` is FAIL; nothing is taken then, and never where `validate_only`.
absl::StatusOr<int> TakeHistory(Changes& changes, PoolEntry& pool, const Samples& samples,
                                v1::ReportUsageBatchRequest::Overlap overlap, bool validate_only);

// Begins to learn again, if the pool's record asks for it and that is not under way.
void BeginLearning(Changes& changes, PoolEntry& pool);

// The steps that closed meanwhile follow what was learned, and the pool goes on by both.
void OnLearned(Changes& changes, PoolEntry& pool, const EffectResult& result);

// Stored samples of `pool` in (after, until], oldest first, at most `limit`; where they are no
// longer kept as they came, means of at most `coarsest`.
using ReadSamples = std::function<absl::StatusOr<std::vector<v1::Sample>>(
    const std::string& pool, absl::Time after, absl::Time until, absl::Duration coarsest,
    int64_t limit)>;

// Carries the effect kLearn out, on any thread.
EffectResult LearnAgain(const Effect& effect, const ReadSamples& read);

inline constexpr int64_t kLearnPage = 100'000;        // Samples in memory at a time.
inline constexpr size_t kStepsMeanwhileMax = 10'000;  // Beyond them it begins again.

}  // namespace shadow
