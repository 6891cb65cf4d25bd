#include "server/core/loop/room/low_room.h"

#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/core/error.h"
#include "server/core/loop/mutations/request_ids.h"
#include "server/core/loop/status/conditions.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using C = v1::Condition;

template <typename... Messages>
bool IsOneOf(const Request& request) {
  return (std::holds_alternative<Messages>(request) || ...);
}

// The rest reads, removes, or moves what is there.
bool Adds(const Request& request) {
  return IsOneOf<v1::CreateDnaRequest, v1::UpdateDnaRequest, v1::CreatePoolRequest,
                 v1::UpdatePoolRequest, v1::CreateShadowPoolRequest, v1::UpdateShadowPoolRequest,
                 v1::ReportUsageRequest, v1::ReportUsageBatchRequest>(request);
}

std::string FreeText(const DiskRoom& room) {
  constexpr double kMebibyte = 1 << 20;
  return absl::StrFormat("%s has %.1f MiB free, wanted %.1f MiB", room.directory,
                         static_cast<double>(room.free_bytes) / kMebibyte,
                         static_cast<double>(room.wanted_bytes) / kMebibyte);
}

std::string LeftOutText(const RoomEntry& entry) {
  return absl::StrCat(entry.samples_left_out, " samples were not stored");
}

// They would be large. What they would have kept is learned again from the samples.
void PutOffSaves(World& world) {
  for (const std::string& id : std::exchange(world.save_queue, {})) {
    const auto pool = world.pools.find(id);
    if (pool == world.pools.end()) continue;
    pool->second.learning.save_queued = false;
    pool->second.timers.next_save = absl::ZeroDuration();
  }
}

}  // namespace

void NoteRoom(Changes& changes, const DiskRoom& room) {
  RoomEntry& entry = changes.world().room;
  if (room.low && !entry.seen.low) {
    entry.samples_left_out = 0;
    PutOffSaves(changes.world());
  }
  entry.seen = room;
  std::string message;
  if (room.low) {
    message = absl::StrCat(FreeText(room), "; what would need more is refused");
    if (entry.samples_left_out > 0) absl::StrAppend(&message, "; ", LeftOutText(entry));
  } else if (entry.samples_left_out > 0) {
    message = absl::StrCat(LeftOutText(entry), " while it was low");
  }
  entry.condition.set_type("DiskSpace");
  NoteDaemonCondition(changes, entry.condition, "",
                      {.status = room.low ? C::FALSE : C::TRUE,
                       .reason = room.low ? "LowSpace" : "Enough",
                       .message = std::move(message)});
}

absl::Status CheckRoom(const World& world, const Request& request) {
  const DiskRoom& room = world.room.seen;
  if (!room.low || !Adds(request) || ValidateOnly(request)) return absl::OkStatus();
  return ReasonError(absl::StatusCode::kResourceExhausted, "LOW_DISK_SPACE",
                     absl::StrCat(FreeText(room),
                                  " to store anything new; instances are still woken, suspended "
                                  "and deleted. Make room and try again"));
}

Samples Storable(World& world, PoolEntry& pool, const Samples& samples) {
  const DiskRoom& room = world.room.seen;
  Samples stored;
  for (const v1::Sample& sample : samples) {
    const absl::Time step = StepStart(FromProto(sample.time()), pool.spec->step);
    const bool left_out = room.scarce || (room.low && pool.demand.stored_step == step);
    if (left_out) {
      ++world.room.samples_left_out;
      continue;
    }
    pool.demand.stored_step = step;
    *stored.Add() = sample;
  }
  return stored;
}

}  // namespace shadow
