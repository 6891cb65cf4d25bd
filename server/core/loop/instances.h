// Moves instances through the lifecycle table, and turns their tasks into effects. Control thread
// only.
#pragma once

#include <string_view>

#include "server/core/loop/changes.h"

namespace shadow {

// A new member in CREATING of the base (`shadow` empty) or a shadow pool.
Member& CreateMember(Changes& changes, PoolEntry& pool, std::string_view shadow, bool serve);

// Applies the table's row for `event`, if there is one. `reason`: why, for people.
void Apply(Changes& changes, PoolEntry& pool, Member& member, InstanceEvent event,
           std::string_view reason = "");

void SetWant(Changes& changes, PoolEntry& pool, Member& member, v1::InstanceRecord::Want want);

// Resumes one that is suspended, and wanted so, to check it (suspended_check.h).
void BeginCheck(Changes& changes, PoolEntry& pool, Member& member);

// Acts on the passed deadline, or issues the effect of the member's task if it is time and no other
// one's (balancing.h). Returns false if the member was forgotten: it is no longer in the pool.
bool Advance(Changes& changes, PoolEntry& pool, Member& member);

// When Advance has something to do next; infinite while a result is awaited.
absl::Duration DueTime(const Member& member);

// Tries its task again after a back-off that doubles with each failed try.
void RetryLater(Changes& changes, PoolEntry& pool, Member& member, std::string_view reason);

// The same where there is no room for it now: it has not failed, so its time limit begins anew.
void WaitForRoom(Changes& changes, PoolEntry& pool, Member& member, std::string_view reason);

inline constexpr absl::Duration kRetryMin = absl::Milliseconds(100);
inline constexpr absl::Duration kRetryMax = absl::Seconds(5);
inline constexpr absl::Duration kVerifyTimeout = absl::Minutes(10);
inline constexpr absl::Duration kSuspendTimeout = absl::Seconds(30);
inline constexpr absl::Duration kRemoveTimeout = absl::Seconds(10);
inline constexpr absl::Duration kReplaceMin = absl::Seconds(1);  // Back-off of replacements.
inline constexpr absl::Duration kReplaceMax = absl::Minutes(5);

}  // namespace shadow
