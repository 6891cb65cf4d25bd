#include "client/watch.h"

#include <map>
#include <memory>
#include <utility>

namespace shadow {
namespace {

constexpr char kClearScreen[] = "\x1b[H\x1b[2J\x1b[3J";

// Prints the table where it differs from the last one.
class TableView {
 public:
  TableView(Session& session, const Watched& watched) : session_(session), watched_(watched) {}

  absl::Status Refresh() {
    absl::StatusOr<std::string> table = watched_.table();
    if (!table.ok()) return table.status();
    if (*table == last_) return absl::OkStatus();
    Console& console = session_.console();
    if (console.out_is_terminal) {
      console.out << kClearScreen;
    } else if (!last_.empty()) {
      console.out << '\n';
    }
    console.out << *table << std::flush;
    last_ = *std::move(table);
    return absl::OkStatus();
  }

 private:
  Session& session_;
  const Watched& watched_;
  std::string last_;
};

// Prints a line where it differs from the last one of its resource.
class LineView {
 public:
  explicit LineView(Session& session) : session_(session) {}

  void Show(const WatchedLine& line) {
    std::string& last = last_[line.name];
    if (last == line.json) return;
    last = line.json;
    session_.console().out << line.json << '\n' << std::flush;
  }

 private:
  Session& session_;
  std::map<std::string, std::string> last_;  // By resource; as many as the daemon has.
};

absl::StatusOr<v1::WatchRequest> FromNow(Session& session, const std::string& name_prefix) {
  // The revision first, what is there second: then no change between the two is missed.
  const absl::StatusOr<v1::ServerStatus> status = session.Call(
      session.server(), &v1::ServerService::Stub::GetServerStatus, v1::GetServerStatusRequest());
  if (!status.ok()) return status.status();
  v1::WatchRequest request;
  request.set_since_revision(status->revision());
  request.set_name_prefix(name_prefix);
  return request;
}

}  // namespace

absl::Status WatchEvents(Session& session, const v1::WatchRequest& request,
                         const std::function<bool(const v1::Event&)>& on_event) {
  v1::WatchRequest next = request;
  while (true) {
    grpc::ClientContext context;  // No deadline: it lasts until somebody ends it.
    const auto reader = session.events().Watch(&context, next);
    v1::Event event;
    bool progress = false;
    while (reader->Read(&event)) {
      progress = true;
      next.set_since_revision(event.revision());
      if (!on_event(event)) {
        context.TryCancel();
        return absl::OkStatus();
      }
    }
    const grpc::Status status = reader->Finish();
    const bool too_slow = status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED && progress;
    if (!too_slow) return session.FromRpc(status);
  }
}

absl::Status WatchResources(Session& session, const Watched& watched) {
  const absl::StatusOr<v1::WatchRequest> request = FromNow(session, watched.name_prefix);
  if (!request.ok()) return request.status();

  if (session.json()) {
    LineView view(session);
    absl::StatusOr<std::vector<WatchedLine>> lines = watched.lines();
    if (!lines.ok()) return lines.status();
    for (const WatchedLine& line : *lines) view.Show(line);
    return WatchEvents(session, *request, [&](const v1::Event& event) {
      const std::optional<WatchedLine> line = watched.line_of(event);
      if (!line) return true;
      view.Show(*line);
      return !(watched.ends_when_deleted && event.kind() == v1::Event::DELETED);
    });
  }

  TableView view(session, watched);
  if (absl::Status shown = view.Refresh(); !shown.ok()) return shown;
  absl::Status refreshed;
  const absl::Status ended = WatchEvents(session, *request, [&](const v1::Event&) {
    refreshed = view.Refresh();
    return refreshed.ok();
  });
  const bool gone = watched.ends_when_deleted && absl::IsNotFound(refreshed);
  if (!refreshed.ok()) return gone ? absl::OkStatus() : refreshed;
  return ended;
}

}  // namespace shadow
