// What came back from the world, applied. Control thread only.
#pragma once

#include "server/core/loop/changes.h"

namespace shadow {

// Of an effect on one instance, issued by Advance for `member`'s task.
void OnInstanceResult(Changes& changes, PoolEntry& pool, Member& member,
                      const EffectResult& result);

// The instances of `provider`, asked for at `asked` (monotonic). A failed list changes nothing of
// them. A provider that nothing needs any more is forgotten then: its entry is gone.
void OnInstanceList(Changes& changes, const std::string& provider, absl::Duration asked,
                    const EffectResult& result);

// What came of the member's task, where a status says it all.
void OnTaskResult(Changes& changes, PoolEntry& pool, Member& member, const absl::Status& status);

// Whether what was seen by a look, asked for at `asked`, can be held against what the member is
// now.
bool Settled(const Member& member, absl::Duration asked);

// Makes the next look at `member` due now: its own where its task is to look, otherwise the list of
// its provider, if that can be held against it. Hints bring forward one list of a provider in
// kHintedListInterval.
void HurryLook(Changes& changes, const PoolEntry& pool, Member& member);

inline constexpr absl::Duration kHintedListInterval = absl::Seconds(1);

// What nobody knows is removed after it was seen in this many looks in a row.
inline constexpr int kStrangerViews = 3;

}  // namespace shadow
