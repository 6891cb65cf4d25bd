#include "server/units/gate/units_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/units/protocol/messages.h"

namespace shadow {
namespace {

constexpr int kTidyMillis = 1000;     // How soon the thread of a closed connection is joined.
constexpr int kBackOffMillis = 50;    // Where something is wanting, e.g. a descriptor.
constexpr size_t kChangesMax = 1024;  // Hints: those beyond it are dropped.

// The uid of whoever has connected. kUnavailable: the kernel does not say.
absl::StatusOr<uid_t> PeerOf(int fd) {
  ucred peer{};
  socklen_t bytes = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && bytes == sizeof(peer)) {
    return peer.uid;
  }
  return absl::UnavailableError("SO_PEERCRED fails");
}

// Instances that may have changed, on their way to a connection.
class Changes {
 public:
  void Add(std::string_view id) {
    const std::lock_guard lock(mutex_);
    if (ids_.size() < kChangesMax) ids_.emplace_back(id);
    changed_.notify_one();
  }

  // Empty: none has come in that time.
  std::string Next(Clock& clock, absl::Duration wait) {
    std::unique_lock lock(mutex_);
    const absl::Duration end = clock.Now().mono + wait;
    while (ids_.empty() && clock.Now().mono < end) clock.WaitUntil(lock, changed_, end);
    if (ids_.empty()) return "";
    std::string id = std::move(ids_.front());
    ids_.pop_front();
    return id;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> ids_;
};

bool HasHungUp(int fd) {
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&wait, 1, 0) > 0;  // A listener sends nothing more, so this is its end.
}

}  // namespace

UnitsServer::UnitsServer(int socket_fd, UnitsGate& gate, Clock& clock, Options options)
    : socket_fd_(socket_fd),
      stop_fd_(eventfd(0, EFD_CLOEXEC)),
      gate_(gate),
      clock_(clock),
      options_(std::move(options)) {
  fcntl(socket_fd_, F_SETFL, fcntl(socket_fd_, F_GETFL) | O_NONBLOCK);
}

UnitsServer::~UnitsServer() {
  HangUpOnAll();
  close(socket_fd_);
  close(stop_fd_);
}

void UnitsServer::Stop() { eventfd_write(stop_fd_, 1); }

absl::Status UnitsServer::Run() {
  absl::Duration busy = clock_.Now().mono;  // When somebody was last connected.
  pollfd waits[] = {{.fd = socket_fd_, .events = POLLIN, .revents = 0},
                    {.fd = stop_fd_, .events = POLLIN, .revents = 0}};
  while (true) {
    if (poll(waits, 2, kTidyMillis) < 0 && errno != EINTR) {
      return absl::ErrnoToStatus(errno, "shadowd-units: cannot wait for connections");
    }
    if (waits[1].revents != 0) break;
    if ((waits[0].revents & ~POLLIN) != 0) {
      return absl::UnavailableError("shadowd-units: its socket has failed");
    }
    if (waits[0].revents != 0) Accept();
    const absl::Duration now = clock_.Now().mono;
    if (Tidy() > 0 || waits[0].revents != 0) busy = now;
    if (now - busy > options_.alone_time) break;
  }
  HangUpOnAll();
  return absl::OkStatus();
}

void UnitsServer::Accept() {
  const int fd = accept4(socket_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    pollfd stop{.fd = stop_fd_, .events = POLLIN, .revents = 0};
    poll(&stop, 1, kBackOffMillis);
    return;
  }
  const auto peer = PeerOf(fd);
  if (!peer.ok() || *peer != options_.allowed_uid) {
    if (peer.ok()) options_.log(absl::StrCat("refused a connection of uid ", *peer));
    close(fd);
    return;
  }
  if (Tidy() >= kConnectionsMax) {
    close(fd);
    return;
  }
  const std::lock_guard lock(mutex_);
  Connection& connection = connections_.emplace_back(fd, clock_);
  connection.thread = std::thread([this, &connection] { Serve(connection); });
}

void UnitsServer::Serve(Connection& connection) {
  while (true) {
    const auto request = connection.channel.Receive(options_.idle_time, options_.frame_time);
    if (!request.ok()) {
      if (absl::IsInvalidArgument(request.status())) {
        options_.log(std::string(request.status().message()));
      }
      break;
    }
    if (!AnswerOne(connection, *request)) break;
    const std::lock_guard lock(mutex_);
    if (stopping_) break;
  }
  connection.channel.HangUp();
  const std::lock_guard lock(mutex_);
  connection.ended = true;
}

bool UnitsServer::AnswerOne(Connection& connection, const std::string& request) {
  bool good = true;
  for (const v1::UnitsReply& reply : gate_.Answer(request)) {
    if (reply.code() != 0) {
      options_.log(absl::StrCat("refused or failed: ", reply.message()));
    }
    const absl::Status sent =
        connection.channel.Send(reply.SerializeAsString(), options_.frame_time);
    if (!sent.ok()) return false;
    good = good && reply.code() == 0;
  }
  v1::UnitsRequest parsed;
  if (good && parsed.ParseFromString(request) && parsed.has_listen()) {
    SendChanges(connection, request);
    return false;
  }
  return true;
}

void UnitsServer::SendChanges(Connection& connection, const std::string& request) {
  Changes changes;
  const auto listening =
      gate_.Listen(request, [&changes](std::string_view id) { changes.Add(id); });
  while (listening != nullptr && !HasHungUp(connection.channel.fd())) {
    const std::string id = changes.Next(clock_, options_.frame_time / 4);
    if (id.empty()) continue;
    v1::UnitsReply reply;
    reply.set_changed_id(id);
    if (!connection.channel.Send(reply.SerializeAsString(), options_.frame_time).ok()) return;
  }
}

int UnitsServer::Tidy() {
  std::list<Connection> gone;
  const std::lock_guard lock(mutex_);
  for (auto it = connections_.begin(); it != connections_.end();) {
    const auto next = std::next(it);
    if (it->ended) gone.splice(gone.end(), connections_, it);
    it = next;
  }
  for (Connection& connection : gone) connection.thread.join();
  return static_cast<int>(connections_.size());
}

void UnitsServer::HangUpOnAll() {
  std::list<Connection> all;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    // No more is read; what is under way is answered.
    for (Connection& connection : connections_) shutdown(connection.channel.fd(), SHUT_RD);
  }
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (connections_.empty()) return;
      all.splice(all.end(), connections_, connections_.begin());
    }
    all.front().thread.join();
    all.clear();
  }
}

}  // namespace shadow
