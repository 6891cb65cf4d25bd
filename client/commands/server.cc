// shadowctl apply, backup, events, status.
#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands/apply.h"
#include "client/commands/backup.h"
#include "client/names.h"
#include "client/output/columns.h"
#include "client/output/conditions.h"
#include "client/output/json.h"
#include "client/proto_time.h"
#include "client/text.h"
#include "client/watch.h"

namespace shadow {
namespace {

// A line of a stream, whose widths nobody knows ahead.
std::string EventLine(const v1::Event& event) {
  const absl::Time no_age;
  std::string line;
  for (const Column<v1::Event>& column : EventColumns()) {
    absl::StrAppend(&line, line.empty() ? "" : "  ", PrintableText(column.text(event, no_age)));
  }
  return line;
}

absl::Status FollowEvents(Session& session, const std::string& name_prefix) {
  v1::WatchRequest request;
  request.set_name_prefix(name_prefix);
  const auto& since = session.arguments().since_revision;
  if (since) request.set_since_revision(*since);
  return WatchEvents(session, request, [&](const v1::Event& event) {
    if (event.kind() == v1::Event::BOOKMARK) return true;
    session.console().out << (session.json() ? JsonText(event, {.layout = JsonLayout::kLine})
                                             : EventLine(event))
                          << '\n'
                          << std::flush;
    return true;
  });
}

// A prefix as people type it: a short name is a pool's.
std::string EventPrefix(const std::string& name) {
  if (name.empty() || name.starts_with("dnas/")) return name;
  const std::string shadow = FullShadowName(name);
  return shadow.empty() ? FullPoolName(name) : shadow;
}

absl::Status Events(Session& session) {
  const std::string prefix = EventPrefix(session.arguments().name);
  if (session.arguments().watch) return FollowEvents(session, prefix);
  v1::ListEventsRequest request;
  request.set_since_revision(session.arguments().since_revision.value_or(0));
  request.set_name_prefix(prefix);
  const auto list =
      session.CallPages(session.events(), &v1::EventService::Stub::ListEvents, request,
                        &v1::ListEventsResponse::mutable_events, session.arguments().limit);
  if (!list.ok()) return list.status();
  const std::vector<v1::Event> events(list->events().begin(), list->events().end());
  session.Print(*list, RenderMessages(EventColumns(), events, session.console().now(),
                                      session.console().colour));
  return absl::OkStatus();
}

absl::Status Status(Session& session) {
  const absl::StatusOr<v1::ServerStatus> status = session.Call(
      session.server(), &v1::ServerService::Stub::GetServerStatus, v1::GetServerStatusRequest());
  if (!status.ok()) return status.status();
  const absl::Duration up = session.console().now() - FromProto(status->start_time());
  session.Print(
      *status,
      absl::StrCat("shadowd ", PrintableText(status->version()), ", pid ", status->pid(), ", up ",
                   ShortDuration(up), "\n", "store      ", PrintableText(status->store_id()),
                   ", schema ", status->schema_version(), ", revision ", status->revision(), "\n",
                   "holds      ", status->pools(), " pools, ", status->shadow_pools(),
                   " shadow pools, ", status->instances(), " instances\n", "last tick  ",
                   absl::FormatDuration(FromProto(status->last_tick_duration())), ", longest ",
                   absl::FormatDuration(FromProto(status->longest_tick_duration())), "\n",
                   ConditionLines(status->conditions(), session.console().now())));
  return absl::OkStatus();
}

constexpr std::array<Command, 4> kCommands = {{
    {"", "apply", "", "Create or update the DNAs and pools of a file (YAML or JSON)",
     "apply -f web.yaml --wait", kTakesFile | kTakesMutation, Apply},
    {"", "backup", "FILE", "Write a backup of the store, for shadowd --restore FILE",
     "backup /var/backups/shadowd.tar", kTakesNothing, Backup},
    {"", "events", "[NAME_PREFIX]", "Show what happened, of everything or of one resource",
     "events pools/web --since 120 --watch", kTakesSince | kTakesLimit | kTakesWatch, Events},
    {"", "status", "", "Show the daemon itself", "status", kTakesNothing, Status},
}};

}  // namespace

std::span<const Command> ServerCommands() { return kCommands; }

}  // namespace shadow
