// --watch: shows resources again whenever the daemon's event stream says that they changed.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/output/json.h"
#include "client/session.h"
#include "client/text.h"
#include "shadow/v1/event.pb.h"

namespace shadow {

// Everything after `since_revision` (unset: from now on) below `name_prefix`, until the daemon ends
// the stream (its status), or `on_event` returns false (OK). A reader that was too slow
// (RESOURCE_EXHAUSTED) resumes where it was. BOOKMARKs are passed on too.
absl::Status WatchEvents(Session& session, const v1::WatchRequest& request,
                         const std::function<bool(const v1::Event&)>& on_event);

// One resource as a line of NDJSON.
struct WatchedLine {
  std::string name;
  std::string json;
};

// What `get --watch` and `list --watch` follow.
struct Watched {
  std::string name_prefix;
  bool ends_when_deleted = false;  // Of a single resource.
  // The lines of everything as it is now, and of one event: none if it is of no interest.
  std::function<absl::StatusOr<std::vector<WatchedLine>>()> lines;
  std::function<std::optional<WatchedLine>(const v1::Event& event)> line_of;
  // The whole table as it is now, for people.
  std::function<absl::StatusOr<std::string>()> table;
};

// With -o json: one compact line a resource, then one for every change of one, deletions with
// `"deleted": true`. Otherwise the table, again after every change of it (in place on a terminal).
absl::Status WatchResources(Session& session, const Watched& watched);

}  // namespace shadow
