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
  for (const auto& [name, pool] : after.pools) {
    const auto old = before.pools.find(name);
    if (old == before.pools.end() || old->second != pool) note(name);
  }
  for (const auto& [name, pool] : before.pools) {
    if (!after.pools.contains(name)) note(name);
  }
  if (all) names.clear();
  return StreamMessage("change", {{"now", FeedSeconds(now)},
                                  {"revision", after.revision},
                                  {"pools", std::move(names)},
                                  {"all", all}});
}

}  // namespace shadow
