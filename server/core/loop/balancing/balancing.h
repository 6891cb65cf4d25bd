// A pool's balancer: tells it of the pool's members, and judges them by its view. Owns
// PoolEntry::view, assign_effect, assigning, assigned, assign_due and next_assign. Called by
// ControlLoop (results), Settle (to tell) and mutations (a changed spec). Control thread only.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// Whether the member waits until the balancer has been told of it.
bool AwaitsBalancer(const Member& member);

// Tells the balancer of all members of the pool if one of them waits for it, or if the balancer's
// view differs from the pool. One such call is in flight at a time.
void TellBalancer(Changes& changes, PoolEntry& pool);

// When TellBalancer has something to do next; infinite while a result is awaited.
absl::Duration NextTelling(const PoolEntry& pool);

// After a start, once the provider's first list is in: tells the balancer unless it has been told.
// Before that list, a member that has died could be brought in.
void TellAtStart(Changes& changes, PoolEntry& pool);

// The answer to TellBalancer: each member that waited goes on, or tries again later.
void OnAssigned(Changes& changes, PoolEntry& pool, const EffectResult& result);

// A view of the balancer that was asked for at `asked` (monotonic). Judges canaries, ends drains
// and fixes differences.
void OnBalancerView(Changes& changes, PoolEntry& pool, absl::Duration asked,
                    const EffectResult& result);

// The pool has another balancer now. Answers of the old one no longer count, and the new one is
// asked at once.
void ForgetBalancer(PoolEntry& pool, absl::Duration now);

// An ACTIVE instance that its balancer's health check fails for this long is replaced.
inline constexpr absl::Duration kUnhealthyTimeout = absl::Seconds(10);
// Before a balancer that could not be told is told again, unless a member waits for it.
inline constexpr absl::Duration kTellAgain = absl::Seconds(1);

}  // namespace shadow
