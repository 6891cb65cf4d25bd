#include "server/units/privileged_units.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/units/protocol/messages.h"

namespace shadow {
namespace {

constexpr size_t kIdleMax = 16;        // Connections that are kept; the helper takes 32.
constexpr size_t kUnitsMax = 100'000;  // Of a list.
constexpr absl::Duration kListenAgain = absl::Seconds(1);
constexpr absl::Duration kNoChange = absl::Hours(1);

absl::Status Unreachable(const std::string& path, int error) {
  return absl::UnavailableError(
      absl::StrCat("shadowd-units cannot be reached at ", path, ": ", std::strerror(error)));
}

// Of an answer without what was asked for.
absl::Status Nonsense() { return absl::InternalError("shadowd-units gives no sensible answer"); }

}  // namespace

PrivilegedUnits::PrivilegedUnits(Options options, Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

PrivilegedUnits::~PrivilegedUnits() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (listening_ != nullptr) listening_->HangUp();
    stopped_.notify_all();
  }
  if (listener_.joinable()) listener_.join();
}

v1::UnitsRequest PrivilegedUnits::Request() const {
  v1::UnitsRequest request;
  request.set_store(options_.store_id);
  return request;
}

absl::StatusOr<std::unique_ptr<FrameChannel>> PrivilegedUnits::Connect() const {
  const std::string& path = options_.socket_path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Unreachable(path, ENAMETOOLONG);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Unreachable(path, errno);
  auto channel = std::make_unique<FrameChannel>(fd, clock_);
  // At once, or with a full backlog not at all.
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Unreachable(path, errno);
  }
  return channel;
}

std::unique_ptr<FrameChannel> PrivilegedUnits::Idle() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return nullptr;
  auto channel = std::move(idle_.back());
  idle_.pop_back();
  return channel;
}

absl::StatusOr<PrivilegedUnits::Replies> PrivilegedUnits::Exchange(FrameChannel& channel,
                                                                   const std::string& message,
                                                                   absl::Duration deadline) {
  const auto left = [&] { return deadline - clock_.Now().mono; };
  if (absl::Status sent = channel.Send(message, left()); !sent.ok()) return sent;
  Replies replies;
  size_t units = 0;
  do {
    const auto bytes = channel.Receive(left(), left());
    if (!bytes.ok()) return bytes.status();
    v1::UnitsReply& reply = replies.emplace_back();
    if (!reply.ParseFromString(*bytes)) return Nonsense();
    units += static_cast<size_t>(reply.units_size());
    if (units > kUnitsMax || (reply.more() && reply.units().empty())) return Nonsense();
  } while (replies.back().more());
  return replies;
}

absl::StatusOr<PrivilegedUnits::Replies> PrivilegedUnits::Call(const v1::UnitsRequest& request) {
  const absl::Duration deadline = clock_.Now().mono + options_.call_time;
  const std::string message = request.SerializeAsString();
  absl::StatusOr<Replies> replies = absl::UnavailableError("");
  // An idle connection may have been closed in the meantime. What is asked twice is done once.
  auto channel = Idle();
  if (channel != nullptr) replies = Exchange(*channel, message, deadline);
  if (!replies.ok() &&
      (absl::IsUnavailable(replies.status()) || absl::IsNotFound(replies.status()))) {
    auto fresh = Connect();
    if (!fresh.ok()) return fresh.status();
    channel = *std::move(fresh);
    replies = Exchange(*channel, message, deadline);
  }
  if (!replies.ok()) {
    if (absl::IsInvalidArgument(replies.status())) return replies.status();
    return absl::UnavailableError(
        absl::StrCat("shadowd-units does not answer: ", replies.status().message()));
  }
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kIdleMax) idle_.push_back(std::move(channel));
  return replies;
}

absl::Status PrivilegedUnits::Ask(const v1::UnitsRequest& request) {
  const auto replies = Call(request);
  return replies.ok() ? StatusOf(replies->front()) : replies.status();
}

absl::Status PrivilegedUnits::Start(const UnitSpec& unit) {
  v1::UnitsRequest request = StartRequest(unit);
  request.set_store(options_.store_id);
  return Ask(request);
}

absl::Status PrivilegedUnits::Suspend(const std::string& id) {
  v1::UnitsRequest request = Request();
  request.mutable_suspend()->set_id(id);
  return Ask(request);
}

absl::Status PrivilegedUnits::Resume(const std::string& id, const v1::Dna& dna) {
  v1::UnitsRequest request = Request();
  request.mutable_resume()->set_id(id);
  *request.mutable_resume()->mutable_dna() = dna;
  return Ask(request);
}

absl::Status PrivilegedUnits::Signal(const std::string& id, int signal) {
  v1::UnitsRequest request = Request();
  request.mutable_signal()->set_id(id);
  request.mutable_signal()->set_signal(signal);
  return Ask(request);
}

absl::Status PrivilegedUnits::Stop(const std::string& id, bool force) {
  v1::UnitsRequest request = Request();
  request.mutable_stop()->set_id(id);
  request.mutable_stop()->set_force(force);
  return Ask(request);
}

absl::Status PrivilegedUnits::Forget(const std::string& id) {
  v1::UnitsRequest request = Request();
  request.mutable_forget()->set_id(id);
  return Ask(request);
}

absl::StatusOr<std::optional<UnitView>> PrivilegedUnits::Get(const std::string& id) {
  v1::UnitsRequest request = Request();
  request.mutable_get()->set_id(id);
  const auto replies = Call(request);
  if (!replies.ok()) return replies.status();
  if (absl::Status status = StatusOf(replies->front()); !status.ok()) return status;
  const auto& units = replies->front().units();
  if (units.empty()) return std::optional<UnitView>();
  if (units.size() > 1 || units[0].id() != id) return Nonsense();
  return std::optional<UnitView>(ViewOf(units[0]));
}

absl::StatusOr<std::vector<UnitView>> PrivilegedUnits::List() {
  v1::UnitsRequest request = Request();
  request.mutable_list();
  const auto replies = Call(request);
  if (!replies.ok()) return replies.status();
  std::vector<UnitView> views;
  for (const v1::UnitsReply& reply : *replies) {
    if (absl::Status status = StatusOf(reply); !status.ok()) return status;
    for (const v1::UnitView& unit : reply.units()) views.push_back(ViewOf(unit));
  }
  return views;
}

void PrivilegedUnits::Listen(const std::function<void(std::string_view id)>& on_change) {
  listener_ = std::thread([this, on_change] { ListenLoop(on_change); });
}

void PrivilegedUnits::ListenLoop(const std::function<void(std::string_view id)>& on_change) {
  while (true) {
    ListenOnce(on_change);
    std::unique_lock lock(mutex_);
    listening_ = nullptr;
    const absl::Duration again = clock_.Now().mono + kListenAgain;
    while (!stopping_ && clock_.Now().mono < again) clock_.WaitUntil(lock, stopped_, again);
    if (stopping_) return;
  }
}

bool PrivilegedUnits::BeginListening(std::unique_ptr<FrameChannel> channel) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return false;
  listening_ = std::move(channel);
  return true;
}

void PrivilegedUnits::ListenOnce(const std::function<void(std::string_view id)>& on_change) {
  auto channel = Connect();
  if (!channel.ok() || !BeginListening(*std::move(channel))) return;
  v1::UnitsRequest request = Request();
  request.mutable_listen();
  const absl::Duration deadline = clock_.Now().mono + options_.call_time;
  const auto begun = Exchange(*listening_, request.SerializeAsString(), deadline);
  if (!begun.ok() || !StatusOf(begun->front()).ok()) return;
  while (true) {
    const auto bytes = listening_->Receive(kNoChange, options_.call_time);
    if (absl::IsDeadlineExceeded(bytes.status())) continue;
    v1::UnitsReply reply;
    if (!bytes.ok() || !reply.ParseFromString(*bytes)) return;
    if (!reply.changed_id().empty()) on_change(reply.changed_id());
  }
}

}  // namespace shadow
