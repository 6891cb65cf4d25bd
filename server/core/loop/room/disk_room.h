// How much room the disk of the store has, as the driver of the control loop sees it.
#pragma once

#include <cstdint>
#include <string>

#include "shadow/v1/condition.pb.h"

namespace shadow {

struct DiskRoom {
  std::string directory = {};  // Of the store.
  int64_t free_bytes = 0;
  int64_t wanted_bytes = 0;  // That must be free for `low` to end.
  bool low = false;          // Nothing may be begun that needs more.
  bool scarce = false;       // Nothing may be kept that can be done without.
};

struct RoomEntry {
  DiskRoom seen = {};
  v1::Condition condition = {};  // DiskSpace; STATUS_UNSPECIFIED: nothing was seen yet.
  int64_t samples_left_out = 0;  // Not stored since it became low the last time.
};

}  // namespace shadow
