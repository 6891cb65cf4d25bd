#include "client/describe/latest_events.h"

#include <algorithm>
#include <array>
#include <limits>

#include "client/proto_time.h"

namespace shadow {
namespace {

// Revisions to look through, the last of them all.
constexpr std::array<std::int64_t, 3> kWindows = {2'000, 50'000,
                                                  std::numeric_limits<std::int64_t>::max()};

absl::StatusOr<v1::ListEventsResponse> EventsAfter(Session& session, const std::string& name_prefix,
                                                   std::int64_t revision) {
  v1::ListEventsRequest request;
  request.set_since_revision(revision);
  request.set_name_prefix(name_prefix);
  return session.CallPages(session.events(), &v1::EventService::Stub::ListEvents, request,
                           &v1::ListEventsResponse::mutable_events, 0);
}

// Whether `list` has all that is wanted though older events were not looked at.
bool IsEnough(const v1::ListEventsResponse& list, const LatestWanted& wanted) {
  if (wanted.count > 0 && list.events_size() >= wanted.count) return true;
  return wanted.since && !list.events().empty() && FromProto(list.events(0).time()) < *wanted.since;
}

void Cut(const LatestWanted& wanted, v1::ListEventsResponse& list) {
  auto& events = *list.mutable_events();
  int drop = 0;
  while (wanted.since && drop < events.size() && FromProto(events[drop].time()) < *wanted.since) {
    ++drop;
  }
  if (wanted.count > 0) drop = std::max(drop, events.size() - wanted.count);
  if (drop > 0) events.DeleteSubrange(0, drop);
}

}  // namespace

absl::StatusOr<LatestEvents> ListLatestEvents(Session& session, const LatestWanted& wanted) {
  const absl::StatusOr<v1::ServerStatus> status = session.Call(
      session.server(), &v1::ServerService::Stub::GetServerStatus, v1::GetServerStatusRequest());
  if (!status.ok()) return status.status();
  const std::int64_t last = status->revision();
  LatestEvents latest;
  latest.revision = last;
  for (const std::int64_t window : kWindows) {
    std::int64_t after = last > window ? last - window : 0;
    auto list = EventsAfter(session, wanted.name_prefix, after);
    if (absl::IsOutOfRange(list.status())) {  // The retention has removed some of them.
      after = 0;
      list = EventsAfter(session, wanted.name_prefix, after);
    }
    if (!list.ok()) return list.status();
    latest.list = *std::move(list);
    if (after == 0 || IsEnough(latest.list, wanted)) break;
  }
  Cut(wanted, latest.list);
  return latest;
}

}  // namespace shadow
