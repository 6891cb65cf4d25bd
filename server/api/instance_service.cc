#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "grpcpp/alarm.h"
#include "server/api/access/authorize.h"
#include "server/api/services.h"
#include "server/core/spec/kinds.h"

namespace shadow {
namespace {

using LogStream = grpc::ServerWriteReactor<v1::InstanceLogChunk>;

constexpr absl::Duration kLogPollInterval = absl::Milliseconds(250);
constexpr size_t kLogBytesMax = 1 << 20;  // Of what there is at the start; providers keep no more.
constexpr size_t kChunkBytes = 64 << 10;

// Where `data` begins with its last `lines` lines; the last one may lack its end.
size_t LastLinesAt(std::string_view data, int lines) {
  if (lines == 0) return data.size();
  size_t at = data.size();
  if (data.ends_with('\n')) --at;
  while (at > 0) {
    const size_t end = data.rfind('\n', at - 1);
    if (end == std::string_view::npos) return 0;
    if (--lines == 0) return end + 1;
    at = end;
  }
  return 0;
}

struct LogSource {
  Provider* provider = nullptr;
  InstanceSpec instance;
  std::string parent;  // Of its name and its predecessor's.
  bool previous = false;
};

// One stream. A write is under way, or the next look is; `mutex_` guards all. Shared, because an
// alarm that has fired may still be running when gRPC is done with the stream.
class LogReactor final : public LogStream, public std::enable_shared_from_this<LogReactor> {
 public:
  // Has one of `slots` for `caller`. `piece`: what there is, from `at` on.
  LogReactor(ApiContext& api, WatcherSlots& slots, std::string caller, LogSource source,
             LogPiece piece, size_t at, bool follow)
      : api_(api),
        slots_(slots),
        caller_(std::move(caller)),
        source_(std::move(source)),
        piece_(std::move(piece)),
        at_(at),
        follow_(follow) {}

  // The stream owns itself until OnDone.
  void Start() {
    self_ = shared_from_this();
    const std::lock_guard lock(mutex_);
    chunk_.set_name(absl::StrCat(source_.parent, "/instances/", piece_.id));
    WriteLocked();
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (!ok) return FinishLocked(absl::CancelledError("the reader is gone"));
    chunk_.Clear();
    GoOnLocked();
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    FinishLocked(absl::CancelledError("cancelled"));
  }

  void OnDone() override {
    alarm_.Cancel();
    slots_.GiveBack(caller_);
    self_.reset();  // Perhaps the end of this.
  }

 private:
  void WriteLocked() {
    const size_t size = std::min(kChunkBytes, piece_.data.size() - at_);
    chunk_.set_data(piece_.data.substr(at_, size));
    at_ += size;
    StartWrite(&chunk_);
  }

  void FinishLocked(const absl::Status& status) {
    if (std::exchange(finished_, true)) return;
    Finish(ToGrpc(status));
  }

  // Writes what is left of the piece, or the next one, or looks again later.
  void GoOnLocked() {
    if (finished_) return;
    if (api_.hub.closed()) {
      return FinishLocked(absl::UnavailableError("the daemon is shutting down"));
    }
    if (at_ < piece_.data.size()) return WriteLocked();
    if (!follow_) return FinishLocked(absl::OkStatus());
    auto next = source_.provider->ReadLog(source_.instance,
                                          {.offset = piece_.next_offset, .bytes_max = kChunkBytes});
    if (absl::IsNotFound(next.status())) return FinishLocked(absl::OkStatus());  // It has ended.
    if (!next.ok()) return FinishLocked(next.status());
    piece_ = *std::move(next);
    at_ = 0;
    chunk_.set_gap(chunk_.gap() || piece_.gap);
    if (!piece_.data.empty()) return WriteLocked();
    if (piece_.ended) return FinishLocked(absl::OkStatus());
    alarm_.Set(absl::ToChronoTime(api_.clock.Now().wall + kLogPollInterval),
               [self = shared_from_this()](bool fired) {
                 if (!fired) return;
                 const std::lock_guard lock(self->mutex_);
                 self->GoOnLocked();
               });
  }

  ApiContext& api_;
  WatcherSlots& slots_;
  const std::string caller_;
  const LogSource source_;
  std::mutex mutex_;
  LogPiece piece_;
  size_t at_;  // How much of `piece_` was written.
  const bool follow_;
  v1::InstanceLogChunk chunk_;  // Being written.
  bool finished_ = false;
  grpc::Alarm alarm_;
  std::shared_ptr<LogReactor> self_;
};

// A stream that has its error from the start.
class RefusedLog final : public LogStream {
 public:
  explicit RefusedLog(const absl::Status& status) { Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

absl::Status CheckLogRequest(const v1::StreamInstanceLogRequest& request) {
  if (request.tail_lines() < 0) {
    return FieldError("tail_lines", absl::StrCat(request.tail_lines(), " is negative"));
  }
  if (request.tail_bytes() < 0) {
    return FieldError("tail_bytes", absl::StrCat(request.tail_bytes(), " is negative"));
  }
  if (!request.follow() || !request.previous()) return absl::OkStatus();
  return FieldError("follow", "with `previous` there is nothing to follow: it has ended");
}

// The instance need not be there any more, but its pool.
absl::StatusOr<LogSource> FindLog(ApiContext& api, const v1::StreamInstanceLogRequest& request) {
  const auto name = ParseInstanceName(request.name(), "name");
  if (!name.ok()) return name.status();
  const auto snapshot = api.control.snapshot();
  const auto pool = snapshot->pools.find(PoolName(name->pool));
  if (pool == snapshot->pools.end()) return PoolNotFound(PoolName(name->pool));
  const auto provider =
      api.control.providers().Get(*CompileProvider(pool->second->pool.provider()));
  if (!provider.ok()) return provider.status();
  return LogSource{.provider = *provider,
                   .instance = {.id = name->id,
                                .name = request.name(),
                                .pool = name->pool,
                                .shadow = name->shadow,
                                .dna = nullptr},
                   .parent = name->shadow.empty() ? PoolName(name->pool)
                                                  : ShadowPoolName(name->pool, name->shadow),
                   .previous = request.previous()};
}

// With the instance's name in the error.
absl::StatusOr<LogPiece> ReadStart(const LogSource& source,
                                   const v1::StreamInstanceLogRequest& request) {
  const size_t bytes =
      request.has_tail_bytes()
          ? static_cast<size_t>(std::min<int64_t>(request.tail_bytes(), kLogBytesMax))
          : kLogBytesMax;
  auto piece =
      source.provider->ReadLog(source.instance, {.previous = source.previous, .bytes_max = bytes});
  if (piece.ok()) return piece;
  const std::string message = absl::StrCat(request.name(), ": ", piece.status().message());
  if (absl::IsNotFound(piece.status())) {
    return ReasonError(absl::StatusCode::kNotFound, "LOG_NOT_KEPT", message);
  }
  return absl::Status(piece.status().code(), message);
}

}  // namespace

InstanceServiceImpl::Reactor* InstanceServiceImpl::GetInstance(
    Context* context, const v1::GetInstanceRequest* request, v1::Instance* response) {
  return Reply(context, api_, "GetInstance", [&]() -> absl::Status {
    const auto name = ParseInstanceName(request->name(), "name");
    if (!name.ok()) return name.status();
    const auto snapshot = api_.control.snapshot();
    const auto pool = snapshot->pools.find(PoolName(name->pool));
    if (pool == snapshot->pools.end()) return PoolNotFound(PoolName(name->pool));
    const auto found = pool->second->instances.find(request->name());
    if (found == pool->second->instances.end()) return InstanceNotFound(request->name());
    *response = found->second;
    return absl::OkStatus();
  });
}

InstanceServiceImpl::Reactor* InstanceServiceImpl::RestartInstance(
    Context* context, const v1::RestartInstanceRequest* request, v1::Instance* response) {
  return Ask(context, api_, "RestartInstance", *request, response);
}

InstanceServiceImpl::Reactor* InstanceServiceImpl::CordonInstance(
    Context* context, const v1::CordonInstanceRequest* request, v1::Instance* response) {
  return Ask(context, api_, "CordonInstance", *request, response);
}

InstanceServiceImpl::Reactor* InstanceServiceImpl::UncordonInstance(
    Context* context, const v1::UncordonInstanceRequest* request, v1::Instance* response) {
  return Ask(context, api_, "UncordonInstance", *request, response);
}

LogStream* InstanceServiceImpl::StreamInstanceLog(Context* context,
                                                  const v1::StreamInstanceLogRequest* request) {
  absl::Status checked = Authorize(api_, *context, "StreamInstanceLog");
  if (checked.ok()) checked = CheckLogRequest(*request);
  if (!checked.ok()) return new RefusedLog(checked);
  auto source = FindLog(api_, *request);
  if (!source.ok()) return new RefusedLog(source.status());
  const std::string caller = ShareOf(api_, *context);
  checked = slots_.Take(caller, !api_.direct.has_value());
  if (!checked.ok()) return new RefusedLog(checked);
  auto piece = ReadStart(*source, *request);
  if (!piece.ok()) {
    slots_.GiveBack(caller);
    return new RefusedLog(piece.status());
  }
  const size_t at = request->has_tail_lines() ? LastLinesAt(piece->data, request->tail_lines()) : 0;
  const auto reactor = std::make_shared<LogReactor>(api_, slots_, caller, *std::move(source),
                                                    *std::move(piece), at, request->follow());
  reactor->Start();
  return reactor.get();
}

}  // namespace shadow
