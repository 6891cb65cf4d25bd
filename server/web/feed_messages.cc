#include "server/web/feed_messages.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/names.h"
#include "server/web/feed_parts.h"

namespace shadow {
namespace {

std::string StreamMessage(std::string_view type, const FeedJson& data) {
  return absl::StrCat("event: ", std::string(type), "\ndata: ", FeedText(data), "\n\n");
}

}  // namespace

std::string HelloMessage(const FeedHello& hello, int64_t revision, absl::Time now) {
  return StreamMessage("hello", {{"now", FeedSeconds(now)},
                                 {"version", hello.version},
                                 {"store", hello.store_id},
                                 {"start", FeedSeconds(hello.start_time)},
                                 {"revision", revision}});
}

std::string AliveMessage(absl::Time now) {
  return StreamMessage("alive", {{"now", FeedSeconds(now)}});
}

std::string ChangeMessage(const Snapshot& before, const Snapshot& after, absl::Time now) {
  FeedJson names = FeedJson::array();
  bool all = false;
  const auto note = [&](const std::string& name) {
    if (names.size() == kFeedNamesMax) all = true;
    if (!all) names.push_back(LastId(name));
  };
  // Both ascend: each stream does this for each change, perhaps of 10,000 pools.
  auto old = before.pools.begin();
  auto now_is = after.pools.begin();
  const auto old_end = before.pools.end();
  const auto now_end = after.pools.end();
  while (!all && (old != old_end || now_is != now_end)) {
    const bool gone = now_is == now_end || (old != old_end && old->first < now_is->first);
    const bool came = !gone && (old == old_end || now_is->first < old->first);
    if (gone || came || old->second != now_is->second) note(gone ? old->first : now_is->first);
    if (!came) ++old;
    if (!gone) ++now_is;
  }
  if (all) names.clear();
  return StreamMessage("change", {{"now", FeedSeconds(now)},
                                  {"revision", after.revision},
                                  {"pools", std::move(names)},
                                  {"all", all}});
}

}  // namespace shadow
