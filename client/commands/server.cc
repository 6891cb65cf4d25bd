// shadowctl apply, diff, backup, events, export, status.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands/apply.h"
#include "client/commands/backup.h"
#include "client/commands/export.h"
#include "client/describe/latest_events.h"
#include "client/formats/table_of.h"
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

void PrintEvent(Session& session, const v1::Event& event) {
  session.console().out << (session.json() ? JsonText(event, {.layout = JsonLayout::kLine})
                                           : EventLine(event))
                        << '\n'
                        << std::flush;
}

// --since: a revision, or a time that the events are not older than; neither: all of them.
struct Since {
  std::optional<std::int64_t> revision;
  std::optional<absl::Time> time;
};

absl::StatusOr<Since> SinceOf(const Session& session, absl::Time now) {
  Since since;
  const std::string& text = session.arguments().since;
  if (text.empty()) return since;
  std::int64_t revision = 0;
  if (absl::SimpleAtoi(text, &revision)) {
    since.revision = revision;
    return since;
  }
  const absl::StatusOr<absl::Duration> age = ParseDurationFlag(text, "--since");
  if (!age.ok()) return age.status();
  since.time = now - *age;
  return since;
}

absl::Status FollowEvents(Session& session, const std::string& name_prefix, const Since& since) {
  v1::WatchRequest request;
  request.set_name_prefix(name_prefix);
  if (since.revision) request.set_since_revision(*since.revision);
  if (since.time) {
    const auto latest =
        ListLatestEvents(session, {.name_prefix = name_prefix, .count = 0, .since = since.time});
    if (!latest.ok()) return latest.status();
    std::int64_t revision = latest->revision;
    for (const v1::Event& event : latest->list.events()) {
      PrintEvent(session, event);
      revision = std::max(revision, event.revision());
    }
    request.set_since_revision(revision);
  }
  return WatchEvents(session, request, [&](const v1::Event& event) {
    if (event.kind() != v1::Event::BOOKMARK) PrintEvent(session, event);
    return true;
  });
}

// After a revision the first ones, otherwise the latest.
absl::StatusOr<v1::ListEventsResponse> EventsOf(Session& session, const std::string& name_prefix,
                                                const Since& since) {
  const int limit = session.arguments().limit;
  if (!since.revision && (since.time || limit > 0)) {
    auto latest = ListLatestEvents(
        session, {.name_prefix = name_prefix, .count = limit, .since = since.time});
    if (!latest.ok()) return latest.status();
    return std::move(latest->list);
  }
  v1::ListEventsRequest request;
  request.set_since_revision(since.revision.value_or(0));
  request.set_name_prefix(name_prefix);
  return session.CallPages(session.events(), &v1::EventService::Stub::ListEvents, request,
                           &v1::ListEventsResponse::mutable_events, limit);
}

// A prefix as people type it: a short name is a pool's.
std::string EventPrefix(const std::string& name) {
  if (name.empty() || name.starts_with("dnas/")) return name;
  const std::string shadow = FullShadowName(name);
  if (std::string instance = FullInstanceName(name); !instance.empty()) return instance;
  return shadow.empty() ? FullPoolName(name) : shadow;
}

absl::Status Events(Session& session) {
  const std::string prefix = EventPrefix(session.arguments().name);
  const absl::StatusOr<Since> since = SinceOf(session, session.console().now());
  if (!since.ok()) return since.status();
  if (session.arguments().watch) return FollowEvents(session, prefix, *since);
  const auto list = EventsOf(session, prefix, *since);
  if (!list.ok()) return list.status();
  const std::vector<v1::Event> events(list->events().begin(), list->events().end());
  session.Print(*list, TableOf(session, EventColumns(), events));
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
                   "holds      ", CountText(status->pools(), "pool"), ", ",
                   CountText(status->shadow_pools(), "shadow pool"), ", ",
                   CountText(status->instances(), "instance"), "\n", "last tick  ",
                   RoundedDuration(FromProto(status->last_tick_duration())), ", longest ",
                   RoundedDuration(FromProto(status->longest_tick_duration())), "\n",
                   ConditionLines(status->conditions(), session.console().now())));
  return absl::OkStatus();
}

// app.cc prints the scripts, because they are made of all commands.
absl::Status NoCall(Session& /*session*/) { return absl::OkStatus(); }

constexpr std::array<Command, 9> kCommands = {{
    {"", "apply", "", "Create or update the DNAs and pools of a file (YAML or JSON)",
     "apply -f web.yaml --wait", kTakesFile | kTakesMutation, Apply},
    {"", "diff", "", "Say what apply -f would change; exit code 1: something", "diff -f web.yaml",
     kTakesFile, Diff},
    {"completion", "bash", "", "Print the script for bash", "completion bash", kTakesNothing,
     NoCall},
    {"completion", "zsh", "", "Print the script for zsh", "completion zsh", kTakesNothing, NoCall},
    {"completion", "fish", "", "Print the script for fish", "completion fish", kTakesNothing,
     NoCall},
    {"", "backup", "FILE", "Write a backup of the store, for shadowd --restore FILE",
     "backup /var/backups/shadowd.tar", kTakesNothing, Backup},
    {"", "export", "", "Print the specs of all DNAs and pools, for apply -f",
     "export > shadowd.yaml", kTakesNothing, Export},
    {"", "events", "[NAME]", "Show what happened, of everything or of one resource",
     "events web --since 10m --watch", kTakesSince | kTakesLimit | kTakesWatch | kTakesFormats,
     Events},
    {"", "status", "", "Show the daemon itself", "status", kTakesFormats, Status},
}};

}  // namespace

std::span<const Command> ServerCommands() { return kCommands; }

}  // namespace shadow
