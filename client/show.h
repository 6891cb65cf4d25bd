// get and list: once, or followed with --watch.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/output/json.h"
#include "client/session.h"
#include "client/watch.h"

namespace shadow {

// Resources of one kind. `Response` is the message of the call that brings them.
template <typename Resource, typename Response>
struct Shown {
  std::string name_prefix;             // Of the events to follow.
  std::string name;                    // The only resource; empty: all below `name_prefix`.
  bool (*in_event)(const v1::Event&);  // The event carries a Resource...
  const Resource& (*of_event)(const v1::Event&);  // ...and this is it.
  std::function<absl::StatusOr<Response>()> fetch;
  std::vector<Resource> (*items)(const Response&);
  std::function<std::string(const std::vector<Resource>&)> table;
};

template <typename Resource>
std::vector<Resource> OnlyItem(const Resource& resource) {
  return {resource};
}

template <typename Resource>
WatchedLine LineOf(const Resource& resource, bool deleted) {
  return {.name = resource.name(),
          .json = JsonText(resource, {.layout = JsonLayout::kLine, .deleted = deleted})};
}

template <typename Resource, typename Response>
absl::Status Show(Session& session, const Shown<Resource, Response>& shown) {
  if (!session.arguments().watch) {
    const absl::StatusOr<Response> response = shown.fetch();
    if (!response.ok()) return response.status();
    // The table may need more calls, so that it is not made for nothing.
    session.Print(*response, !session.table() ? "" : shown.table(shown.items(*response)));
    return absl::OkStatus();
  }
  Watched watched;
  watched.name_prefix = shown.name_prefix;
  watched.ends_when_deleted = !shown.name.empty();
  watched.lines = [&]() -> absl::StatusOr<std::vector<WatchedLine>> {
    const absl::StatusOr<Response> response = shown.fetch();
    if (!response.ok()) return response.status();
    std::vector<WatchedLine> lines;
    for (const Resource& resource : shown.items(*response)) {
      lines.push_back(LineOf(resource, false));
    }
    return lines;
  };
  watched.line_of = [&](const v1::Event& event) -> std::optional<WatchedLine> {
    if (!shown.in_event(event)) return std::nullopt;
    if (!shown.name.empty() && shown.of_event(event).name() != shown.name) return std::nullopt;
    return LineOf(shown.of_event(event), event.kind() == v1::Event::DELETED);
  };
  watched.table = [&]() -> absl::StatusOr<std::string> {
    const absl::StatusOr<Response> response = shown.fetch();
    if (!response.ok()) return response.status();
    return shown.table(shown.items(*response));
  };
  return WatchResources(session, watched);
}

}  // namespace shadow
