// Messages of the live page's stream, as server-sent events. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "server/core/loop/status/snapshot.h"

namespace shadow {

struct FeedHello {
  std::string version;
  std::string store_id;
  absl::Time start_time;  // Of the daemon.
};
std::string HelloMessage(const FeedHello& hello, int64_t revision, absl::Time now);
std::string AliveMessage(absl::Time now);
// The pools that differ between two snapshots, by their ids; beyond kFeedNamesMax only that there
// are many.
inline constexpr size_t kFeedNamesMax = 100;
std::string ChangeMessage(const Snapshot& before, const Snapshot& after, absl::Time now);

}  // namespace shadow
