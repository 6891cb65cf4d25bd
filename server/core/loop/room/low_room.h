// What is refused and what is left out while the disk has little room, so that instances can be
// woken, suspended and drained all the same. Control thread only.
#pragma once

#include "absl/status/status.h"
#include "server/core/loop/changes.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/mutations/request.h"

namespace shadow {

// Takes what the driver has seen. When it turns, that is an event.
void NoteRoom(Changes& changes, const DiskRoom& room);

// kResourceExhausted, saying how much is free and how much is wanted: room is low, and `request`
// would store something new.
absl::Status CheckRoom(const World& world, const Request& request);

// Those of the samples that a usage source gave which are stored: all; with low room the first of
// each step; with scarce room none. The others are counted. A restart learns from what is stored.
Samples Storable(World& world, PoolEntry& pool, const Samples& samples);

}  // namespace shadow
