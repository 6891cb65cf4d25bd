// A pool's balancer: what it is told, and what follows from what it says. Control thread only.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// Whether the member's task is that the balancer is told of it.
bool AwaitsBalancer(const Member& member);

// Tells the balancer of all of the pool's members, if one of them waits for that, or if what it
// knows is not what they are. One such call is under way at a time.
void TellBalancer(Changes& changes, PoolEntry& pool);

// When TellBalancer has something to do next; infinite while a result is awaited.
absl::Duration NextTelling(const PoolEntry& pool);

// Of what lives everything is known now: the balancer is to be told, if it was not yet.
void TellAtStart(Changes& changes, PoolEntry& pool);

void OnAssigned(Changes& changes, PoolEntry& pool, const EffectResult& result);

// A look at the balancer, asked for at `asked` (monotonic): judges canaries, ends drains, mends
// what differs.
void OnBalancerView(Changes& changes, PoolEntry& pool, absl::Duration asked,
                    const EffectResult& result);

// Others than now were asked: what they said counts for nothing, and the new one is asked at once.
void ForgetBalancer(PoolEntry& pool, absl::Duration now);

// An ACTIVE instance that its balancer's health check fails for this long is replaced.
inline constexpr absl::Duration kUnhealthyTimeout = absl::Seconds(10);
// Until a balancer that knows what it should not is told again, if no member waits for that.
inline constexpr absl::Duration kTellAgain = absl::Seconds(1);

}  // namespace shadow
