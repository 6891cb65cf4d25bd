// shadowctl apply, events, status.
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands/documents.h"
#include "client/names.h"
#include "client/output/columns.h"
#include "client/output/json.h"
#include "client/proto_time.h"
#include "client/text.h"
#include "client/wait.h"
#include "client/watch.h"

namespace shadow {
namespace {

template <typename Resource>
struct Applied {
  Resource before;  // Empty: it was not there.
  Resource after;
  const char* verb = "";
};

// Whether an update changed nothing. A DNA's revision is that of its content; a pool's etag is new
// with every new spec, but a dry run has none, and answers with the whole pool as it would be.
bool Same(const v1::Dna& before, const v1::Dna& after, bool /*dry_run*/) {
  return before.revision() == after.revision();
}
bool Same(const v1::Pool& before, const v1::Pool& after, bool dry_run) {
  if (dry_run) return google::protobuf::util::MessageDifferencer::Equals(before, after);
  return before.etag() == after.etag();
}

// Gets what is there, then creates or updates it.
template <typename Resource, typename Stub, typename GetRequest, typename UpdateRequest>
absl::StatusOr<Applied<Resource>> ApplyOne(
    Session& session, Stub& stub,
    grpc::Status (Stub::*get)(grpc::ClientContext*, const GetRequest&, Resource*),
    grpc::Status (Stub::*update)(grpc::ClientContext*, const UpdateRequest&, Resource*),
    const std::string& name, UpdateRequest& request) {
  Applied<Resource> applied;
  GetRequest get_request;
  get_request.set_name(name);
  absl::StatusOr<Resource> before = session.Call(stub, get, get_request);
  if (before.ok()) {
    applied.before = *std::move(before);
  } else if (!absl::IsNotFound(before.status())) {
    return before.status();
  }
  request.set_allow_missing(true);
  absl::StatusOr<Resource> after = session.Call(stub, update, request);
  if (!after.ok()) return after.status();
  applied.after = *std::move(after);
  const bool same = Same(applied.before, applied.after, session.arguments().dry_run);
  applied.verb = applied.before.name().empty() ? "created" : same ? "unchanged" : "configured";
  return applied;
}

template <typename Resource>
void PrintApplied(Session& session, const std::string& name, const Applied<Resource>& applied) {
  if (session.json()) {
    session.console().out << JsonText(applied.after, {.layout = JsonLayout::kLine}) << '\n';
  } else {
    session.console().out << name << ' ' << applied.verb << DryRunNote(session) << '\n';
  }
}

absl::Status ApplyDna(Session& session, const v1::Dna& dna, std::size_t index, std::size_t count) {
  v1::UpdateDnaRequest request;
  *request.mutable_dna() = dna;
  PrepareOneOf(session, index, count, request);
  const auto applied = ApplyOne(session, session.dnas(), &v1::DnaService::Stub::GetDna,
                                &v1::DnaService::Stub::UpdateDna, dna.name(), request);
  if (!applied.ok()) return applied.status();
  PrintApplied(session, dna.name(), *applied);
  return absl::OkStatus();
}

absl::Status ApplyPool(Session& session, const v1::Pool& pool, std::size_t index,
                       std::size_t count) {
  v1::UpdatePoolRequest request;
  *request.mutable_pool() = pool;
  PrepareOneOf(session, index, count, request);
  auto applied = ApplyOne(session, session.pools(), &v1::PoolService::Stub::GetPool,
                          &v1::PoolService::Stub::UpdatePool, pool.name(), request);
  if (!applied.ok()) return applied.status();
  if (session.arguments().wait && !session.arguments().dry_run) {
    absl::StatusOr<v1::Pool> settled = WaitForPool(session, pool.name());
    if (!settled.ok()) return settled.status();
    applied->after = *std::move(settled);
  }
  PrintApplied(session, pool.name(), *applied);
  return absl::OkStatus();
}

absl::Status Apply(Session& session) {
  absl::StatusOr<std::vector<Manifest>> manifests =
      ReadManifests(session, ManifestKind::kDnaOrPool);
  if (!manifests.ok()) return manifests.status();
  // A pool needs its DNA, wherever in the file that stands.
  std::stable_partition(manifests->begin(), manifests->end(), [](const Manifest& manifest) {
    return std::holds_alternative<v1::Dna>(manifest);
  });
  for (std::size_t i = 0; i < manifests->size(); ++i) {
    const Manifest& manifest = (*manifests)[i];
    const auto* dna = std::get_if<v1::Dna>(&manifest);
    const absl::Status applied =
        dna != nullptr ? ApplyDna(session, *dna, i, manifests->size())
                       : ApplyPool(session, std::get<v1::Pool>(manifest), i, manifests->size());
    if (!applied.ok()) return applied;
  }
  return absl::OkStatus();
}

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
                   absl::FormatDuration(FromProto(status->longest_tick_duration())), "\n"));
  return absl::OkStatus();
}

constexpr std::array<Command, 3> kCommands = {{
    {"", "apply", "", "Create or update the DNAs and pools of a file (YAML or JSON)",
     "apply -f web.yaml --wait", kTakesFile | kTakesMutation, Apply},
    {"", "events", "[NAME_PREFIX]", "Show what happened, of everything or of one resource",
     "events pools/web --since 120 --watch", kTakesSince | kTakesLimit | kTakesWatch, Events},
    {"", "status", "", "Show the daemon itself", "status", kTakesNothing, Status},
}};

}  // namespace

std::span<const Command> ServerCommands() { return kCommands; }

}  // namespace shadow
