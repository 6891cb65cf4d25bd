#include <algorithm>
#include <memory>
#include <vector>

#include "grpcpp/alarm.h"
#include "server/api/access/authorize.h"
#include "server/api/services.h"
#include "server/api/unparsable.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

constexpr absl::Duration kBookmarkInterval = absl::Seconds(10);
// The limits of one page from the hub or the store.
constexpr size_t kEventsOfPage = 256;
constexpr size_t kBytesOfPage = 32 << 10;  // The last two events may pass it.

absl::Status TooSlow(int64_t revision) {
  return ReasonError(absl::StatusCode::kResourceExhausted, "SLOW_WATCHER",
                     absl::StrCat("this watcher is more than ", EventHub::kEventsMax,
                                  " events behind; resume from revision ", revision));
}

// The bytes of `event`, shared with the hub and all other watchers.
grpc::ByteBuffer BytesOf(std::shared_ptr<const SharedEvent> event) {
  using Owner = std::shared_ptr<const SharedEvent>;
  auto* owner = new Owner(std::move(event));  // Goes with the last slice that refers to it.
  // gRPC's signature asks for bytes that it might change; it does not.
  auto* bytes = const_cast<char*>((*owner)->bytes.data());
  const grpc::Slice slice(
      bytes, (*owner)->bytes.size(), [](void* user_data) { delete static_cast<Owner*>(user_data); },
      owner);
  return {&slice, 1};
}

// One stream. A write is under way, or it is woken by the hub or the bookmark alarm. `mutex_`
// guards all. Shared, because an alarm that has fired may still be running when gRPC is done with
// the stream.
class WatchReactor final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                           public std::enable_shared_from_this<WatchReactor> {
 public:
  // Has one of `slots` for `caller`.
  WatchReactor(ApiContext& api, WatcherSlots& slots, UnreadAnswers& unread_answers,
               std::string caller, const v1::WatchRequest& request)
      : api_(api),
        slots_(slots),
        unread_answers_(unread_answers),
        caller_(std::move(caller)),
        prefix_(request.name_prefix()),
        revision_(request.has_since_revision() ? request.since_revision()
                                               : api.hub.last_revision()) {}

  // The stream owns itself until OnDone.
  void Start() {
    self_ = shared_from_this();
    wake_ = api_.hub.Subscribe([this] { Pump(false); });
    {
      const std::lock_guard lock(mutex_);
      SetAlarmLocked();
    }
    Pump(false);
  }

  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      if (!ok) return FinishLocked(absl::CancelledError("the watcher is gone"));
    }
    Pump(false);
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    FinishLocked(absl::CancelledError("cancelled"));
  }

  void OnDone() override {
    api_.hub.Unsubscribe(wake_);
    alarm_.Cancel();
    unread_answers_.GiveBack(caller_, page_bytes_);
    slots_.GiveBack(caller_);
    self_.reset();  // Perhaps the end of this.
  }

 private:
  void SetAlarmLocked() {
    alarm_.Set(absl::ToChronoTime(api_.clock.Now().wall + kBookmarkInterval),
               [self = shared_from_this()](bool fired) {
                 if (!fired) return;
                 self->Pump(true);
                 const std::lock_guard lock(self->mutex_);
                 if (!self->finished_) self->SetAlarmLocked();
               });
  }

  void FinishLocked(const absl::Status& status) {
    if (std::exchange(finished_, true)) return;
    Finish(ToGrpc(status));
  }

  // Writes the next event, if there is one; else, where `bookmark`, that there is none.
  void Pump(bool bookmark) {
    const std::lock_guard lock(mutex_);
    if (writing_ || finished_) return;
    if (api_.hub.closed()) {
      return FinishLocked(absl::UnavailableError("the daemon is shutting down"));
    }
    if (next_ == page_.size() && (bookmark || !awaits_room_)) {
      const absl::Status filled = Fill();
      if (!filled.ok()) return FinishLocked(filled);
    }
    if (next_ < page_.size()) {
      revision_ = page_[next_]->revision;
      current_ = BytesOf(std::move(page_[next_++]));
    } else if (bookmark) {
      v1::Event event;
      event.set_kind(v1::Event::BOOKMARK);
      event.set_revision(revision_);
      *event.mutable_time() = ToProto(api_.clock.Now().wall);
      current_ = BytesOf(std::make_shared<const SharedEvent>(event));
    } else {
      return;
    }
    writing_ = true;
    StartWrite(&current_);
  }

  // The next page, perhaps empty.
  absl::Status Fill() {
    page_.clear();
    next_ = 0;
    awaits_room_ = false;
    unread_answers_.GiveBack(caller_, std::exchange(page_bytes_, 0));
    EventHub::Page page = api_.hub.After(revision_, prefix_, kEventsOfPage, kBytesOfPage);
    if (!page.gap) {
      reading_store_ = false;
      page_ = std::move(page.events);
      if (page_.empty()) revision_ = page.last_revision;
      return absl::OkStatus();
    }
    if (!reading_store_) return TooSlow(revision_);
    const auto events = api_.store.ReadEvents(revision_, prefix_, {kEventsOfPage, kBytesOfPage});
    if (!events.ok()) return events.status();
    if (!TakeRoom(*events)) {
      awaits_room_ = true;
      return absl::OkStatus();
    }
    for (const v1::Event& event : *events) {
      page_.push_back(std::make_shared<const SharedEvent>(event));
    }
    if (page_.empty()) {  // Nothing of this prefix up to where the hub begins.
      revision_ = std::max(revision_, api_.hub.dropped_revision());
      return Fill();
    }
    return absl::OkStatus();
  }

  // Takes room for a page from the store, which no other watcher shares. False: no room now.
  bool TakeRoom(const std::vector<v1::Event>& events) {
    if (api_.direct.has_value()) return true;
    size_t bytes = 0;
    for (const v1::Event& event : events) bytes += event.ByteSizeLong();
    if (!unread_answers_.Take(caller_, bytes).ok()) return false;
    page_bytes_ = bytes;
    return true;
  }

  ApiContext& api_;
  WatcherSlots& slots_;
  UnreadAnswers& unread_answers_;
  const std::string caller_;
  const std::string prefix_;
  std::mutex mutex_;
  int64_t revision_;  // Of the last event that was written, or looked at.
  int64_t wake_ = 0;
  std::vector<std::shared_ptr<const SharedEvent>> page_;
  size_t next_ = 0;
  size_t page_bytes_ = 0;     // That this page has taken of `unread_answers_`.
  bool awaits_room_ = false;  // For the next page; tried again with the next bookmark.
  grpc::ByteBuffer current_;  // Being written.
  // What is only there is read once; afterwards a watcher has to keep up.
  bool reading_store_ = true;
  bool writing_ = false;
  bool finished_ = false;
  grpc::Alarm alarm_;
  std::shared_ptr<WatchReactor> self_;
};

// A stream that has its error from the start.
class RefusedWatch final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  explicit RefusedWatch(const absl::Status& status) { Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

absl::Status CheckSince(int64_t since_revision) {
  if (since_revision >= 0) return absl::OkStatus();
  return FieldError("since_revision", absl::StrCat(since_revision, " is negative"));
}

// A watcher that is ahead has its revision from another store, or from before a restored backup: to
// wait until this one has caught up would hide what happens until then.
absl::Status CheckWatch(const ApiContext& api, const v1::WatchRequest& request) {
  if (absl::Status since = CheckSince(request.since_revision()); !since.ok()) return since;
  // The snapshot is ahead of the hub by what is not durable yet.
  const int64_t newest = std::max(api.hub.last_revision(), api.control.snapshot()->revision);
  if (request.since_revision() <= newest) return absl::OkStatus();
  return FieldError(
      "since_revision",
      absl::StrCat(request.since_revision(), " is not there yet; the newest is ", newest),
      absl::StatusCode::kOutOfRange);
}

std::string ScopeOf(const v1::ListEventsRequest& request) {
  return absl::StrCat("ListEvents ", request.since_revision(), " ", request.name_prefix(),
                      TimeRange(request).scope());
}

absl::StatusOr<int64_t> EventsAfter(const v1::ListEventsRequest& request) {
  if (absl::Status since = CheckSince(request.since_revision()); !since.ok()) return since;
  if (request.page_token().empty()) return request.since_revision();
  const auto key = FromToken(ScopeOf(request), request.page_token());
  if (!key.ok()) return key.status();
  int64_t after = 0;
  if (absl::SimpleAtoi(*key, &after) && after >= 0) return after;
  return FieldError("page_token", "is not a next_page_token of this request");
}

absl::Status FillEvents(Store& store, const v1::ListEventsRequest& request, int64_t after, int size,
                        v1::ListEventsResponse& response) {
  const TimeRange range(request);
  PageFill fill(size);
  for (int rows = 0;;) {
    const auto events = store.ReadEvents(after, request.name_prefix(), {size + 1, kPageBytesMax});
    if (!events.ok()) return events.status();
    for (const v1::Event& event : *events) {
      if (fill.full() || rows == TimeRange::kRowsMax) {
        response.set_next_page_token(ToToken(ScopeOf(request), absl::StrCat(after)));
        return absl::OkStatus();
      }
      ++rows;
      after = event.revision();
      if (!range.Has(event.time())) continue;
      *response.add_events() = event;
      fill.Add(event.ByteSizeLong());
    }
    if (events->empty() || !range.limited()) return absl::OkStatus();
  }
}

}  // namespace

grpc::ServerUnaryReactor* EventServiceImpl::ListEvents(Context* context,
                                                       const v1::ListEventsRequest* request,
                                                       v1::ListEventsResponse* response) {
  return Reply(context, api_, "ListEvents", [&]() -> absl::Status {
    const auto size = PageSize(request->page_size());
    if (!size.ok()) return size.status();
    const auto after = EventsAfter(*request);
    if (!after.ok()) return after.status();
    return FillEvents(api_.store, *request, *after, *size, *response);
  });
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* EventServiceImpl::Watch(Context* context,
                                                                    const grpc::ByteBuffer* bytes) {
  v1::WatchRequest request;
  absl::Status checked = Authorize(api_, *context, "Watch");
  if (checked.ok()) checked = Parse(*bytes, "/shadow.v1.EventService/Watch", request);
  if (checked.ok()) checked = CheckWatch(api_, request);
  const std::string caller = ShareOf(api_, *context);
  if (checked.ok()) checked = slots_.Take(caller, !api_.direct.has_value());
  if (!checked.ok()) return new RefusedWatch(checked);
  const auto reactor =
      std::make_shared<WatchReactor>(api_, slots_, unread_answers_, caller, request);
  reactor->Start();
  return reactor.get();
}

absl::Status WatcherSlots::Take(const std::string& caller, bool limited) {
  const std::string what(limits_.what);
  const std::lock_guard lock(mutex_);
  if (taken_ >= limits_.all) {
    return ReasonError(absl::StatusCode::kResourceExhausted, limits_.reason,
                       absl::StrCat(limits_.all, " ", what, " are there already"));
  }
  int& of_caller = by_caller_[caller];
  if (limited && of_caller >= limits_.of_caller) {
    return ReasonError(absl::StatusCode::kResourceExhausted, limits_.reason,
                       absl::StrCat(caller, " has ", limits_.of_caller, " ", what, " already"));
  }
  ++taken_;
  ++of_caller;
  return absl::OkStatus();
}

void WatcherSlots::GiveBack(const std::string& caller) {
  const std::lock_guard lock(mutex_);
  --taken_;
  const auto of_caller = by_caller_.find(caller);
  if (--of_caller->second == 0) by_caller_.erase(of_caller);
}

}  // namespace shadow
