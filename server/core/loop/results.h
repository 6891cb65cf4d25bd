// What came back from the world, applied. Control thread only.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// Of an effect on one instance, issued by Advance for `member`'s task.
void OnInstanceResult(Changes& changes, PoolEntry& pool, Member& member,
                      const EffectResult& result);

// The instances of `provider`, asked for at `asked` (monotonic). A failed list changes nothing.
void OnInstanceList(Changes& changes, const std::string& provider, absl::Duration asked,
                    const EffectResult& result);

// A look at the pool's balancer, asked for at `asked`: judges canaries, ends drains, mends what
// differs.
void OnBalancerView(Changes& changes, PoolEntry& pool, absl::Duration asked,
                    const EffectResult& result);

// An ACTIVE instance that its balancer's health check fails for this long is replaced.
inline constexpr absl::Duration kUnhealthyTimeout = absl::Seconds(10);
// What nobody knows is removed after it was seen in this many looks in a row.
inline constexpr int kStrangerViews = 3;

}  // namespace shadow
