#include "server/api/tcp/tls_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/tcp/tcp_address.h"
#include "server/log/log.h"

namespace shadow {
namespace {

constexpr int kTcpBacklog = 128;
constexpr int kTlsEventsMax = 64;       // Taken from epoll at a time.
constexpr int kTlsLastBuffersMax = 16;  // Sent to a client whose call has ended on our side.
constexpr int kTcpBackOffMillis = 50;   // Where a descriptor or memory is wanting.
constexpr uint64_t kStopToken = 0;
constexpr uint64_t kListenToken = 1;  // Of connections: 2 x id, one more for the plain side.
constexpr absl::Duration kHostWarnInterval = absl::Minutes(1);
constexpr size_t kHostsWarnedMax = 1024;  // Hosts that are remembered.

void SetOption(int fd, int level, int option) {
  const int on = 1;
  setsockopt(fd, level, option, &on, sizeof(on));
}

absl::StatusOr<int> ListenOn(const std::string& text) {
  const auto address = ParseTcpAddress(text);
  if (!address.ok()) return address.status();
  const int fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("listen_tcp: ", text));
  SetOption(fd, SOL_SOCKET, SO_REUSEADDR);  // And no SO_REUSEPORT: nobody else may share it.
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address->address), address->length) == 0 &&
      listen(fd, kTcpBacklog) == 0) {
    return fd;
  }
  const int error = errno;
  close(fd);
  if (error == EADDRINUSE) {
    return absl::AlreadyExistsError(absl::StrCat("listen_tcp: another process serves ", text));
  }
  return absl::ErrnoToStatus(error, absl::StrCat("listen_tcp: cannot listen on ", text));
}

int BoundPort(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

void AddToEpoll(int epoll_fd, int fd, uint64_t token, uint32_t events) {
  epoll_event event{.events = events, .data = {.u64 = token}};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

// One connection.
struct TlsListener::Peer {
  Peer(uint64_t peer_id, std::string from, int fd, std::shared_ptr<const TlsContext> by)
      : id(peer_id), host(std::move(from)), context(std::move(by)), link(fd, *context) {}

  const uint64_t id;
  const std::string host;
  std::shared_ptr<const TlsContext> context;  // Of its handshake, which `link` uses.
  TlsLink link;
  bool open = false;        // The handshake is over, and `caller` is proved.
  absl::Duration shake_by;  // Until when it has to be; monotonic.
  absl::Time end_time;      // Of its certificate.
  Caller caller;
  uint32_t tcp_events = 0;  // What epoll watches for.
  uint32_t plain_events = 0;
};

absl::StatusOr<std::unique_ptr<TlsListener>> TlsListener::Open(
    const std::string& address, std::shared_ptr<const TlsContext> context,
    OnConnection on_connection, Clock& clock) {
  const auto fd = ListenOn(address);
  if (!fd.ok()) return fd.status();
  return std::unique_ptr<TlsListener>(
      new TlsListener(*fd, BoundPort(*fd), std::move(context), std::move(on_connection), clock));
}

TlsListener::TlsListener(int listen_fd, int port, std::shared_ptr<const TlsContext> context,
                         OnConnection on_connection, Clock& clock)
    : listen_fd_(listen_fd),
      port_(port),
      on_connection_(std::move(on_connection)),
      clock_(clock),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      stop_fd_(eventfd(0, EFD_CLOEXEC)),
      context_(std::move(context)) {
  AddToEpoll(epoll_fd_, stop_fd_, kStopToken, EPOLLIN);
  AddToEpoll(epoll_fd_, listen_fd_, kListenToken, EPOLLIN);
  thread_ = std::thread([this] { Run(); });
}

TlsListener::~TlsListener() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  peers_.clear();
  close(listen_fd_);
  close(stop_fd_);
  close(epoll_fd_);
}

void TlsListener::Reload(std::shared_ptr<const TlsContext> context,
                         const std::function<bool(const Caller&)>& keeps) {
  const std::lock_guard lock(mutex_);
  if (context != nullptr) context_ = std::move(context);
  std::erase_if(peers_, [&](const auto& entry) {
    const Peer& peer = *entry.second;
    return !peer.open || !keeps(peer.caller) || !peer.link.VerifyBy(*context_).ok();
  });
}

void TlsListener::StopAccepting() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(accepting_, false)) {
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, listen_fd_, nullptr);
    shutdown(listen_fd_, SHUT_RDWR);
  }
  std::erase_if(peers_, [](const auto& entry) { return !entry.second->open; });
}

void TlsListener::Run() {
  std::array<epoll_event, kTlsEventsMax> events;
  int timeout_millis = -1;
  while (true) {
    const int count = epoll_wait(epoll_fd_, events.data(), kTlsEventsMax, timeout_millis);
    const std::lock_guard lock(mutex_);
    if (std::exchange(out_of_descriptors_, false) && accepting_) {
      AddToEpoll(epoll_fd_, listen_fd_, kListenToken, EPOLLIN);
    }
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == kStopToken) return;
      if (event.data.u64 == kListenToken) {
        Accept();
      } else {
        OnEvent(event.data.u64, event.events);
      }
    }
    CloseOverdue();
    timeout_millis = WaitMillis();
  }
}

void TlsListener::Accept() {
  if (!accepting_) return;
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  const int fd = accept4(listen_fd_, reinterpret_cast<sockaddr*>(&address), &length,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    out_of_descriptors_ = true;
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, listen_fd_, nullptr);
    return;
  }
  const std::string host = HostOf(address);
  MakeRoom(host);
  const auto of_host = std::count_if(peers_.begin(), peers_.end(), [&](const auto& entry) {
    return !entry.second->open && entry.second->host == host;
  });
  if (peers_.size() >= kConnectionsMax || of_host >= kHandshakesMaxOfHost) {
    close(fd);
    return Warn(host, "there are too many connections");
  }
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY);
  const uint64_t id = next_id_++;
  auto peer = std::make_unique<Peer>(id, host, fd, context_);
  peer->shake_by = clock_.Now().mono + kHandshakeTimeout;
  AddToEpoll(epoll_fd_, fd, 2 * id, 0);
  Watch(*peers_.emplace(id, std::move(peer)).first->second);
}

// Those who begin a handshake and do not go on with it keep nobody out. Ids ascend.
void TlsListener::MakeRoom(const std::string& host) {
  const auto shaking = [](const auto& entry) { return !entry.second->open; };
  if (std::count_if(peers_.begin(), peers_.end(), shaking) < kHandshakesMax) return;
  const auto oldest = std::find_if(peers_.begin(), peers_.end(), shaking);
  Warn(oldest->second->host, absl::StrCat("its handshake gave way to one from ", host));
  peers_.erase(oldest);
}

void TlsListener::OnEvent(uint64_t token, uint32_t events) {
  const auto found = peers_.find(token / 2);
  if (found == peers_.end()) return;  // Closed by an event before this one.
  Peer& peer = *found->second;
  bool goes_on = peer.open ? peer.link.Pass() : Shake(peer);
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    // Of the plain side it means that gRPC has ended the connection, and there may be last words.
    for (int i = 0; i < kTlsLastBuffersMax && goes_on && token % 2 == 1; ++i) {
      goes_on = peer.link.Pass();
    }
    goes_on = false;
  }
  if (goes_on) return Watch(peer);
  peers_.erase(found);
}

bool TlsListener::Shake(Peer& peer) {
  const auto done = peer.link.Handshake();
  if (!done.ok()) {
    Warn(peer.host, std::string(done.status().message()));
    return false;
  }
  return !*done || HandOn(peer);
}

bool TlsListener::HandOn(Peer& peer) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return false;
  peer.link.Attach(pair[0]);
  peer.caller = peer.link.caller();
  peer.end_time = peer.link.end_time();
  peer.open = true;
  AddToEpoll(epoll_fd_, pair[0], 2 * peer.id + 1, 0);
  on_connection_(pair[1], peer.caller);
  return peer.link.Pass();  // The client may have sent something with its last word.
}

void TlsListener::Watch(Peer& peer) {
  const auto watch = [this](int fd, uint64_t token, uint32_t wanted, uint32_t& watched) {
    if (std::exchange(watched, wanted) == wanted) return;
    epoll_event event{.events = wanted, .data = {.u64 = token}};
    epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
  };
  watch(peer.link.tcp_fd(), 2 * peer.id, peer.link.TcpEvents(), peer.tcp_events);
  if (!peer.open) return;
  watch(peer.link.plain_fd(), 2 * peer.id + 1, peer.link.PlainEvents(), peer.plain_events);
}

// Handshakes that take too long, and certificates that have expired meanwhile.
void TlsListener::CloseOverdue() {
  const Instant now = clock_.Now();
  std::erase_if(peers_, [&](const auto& entry) {
    const Peer& peer = *entry.second;
    const bool late = !peer.open && now.mono >= peer.shake_by;
    if (late) Warn(peer.host, "its handshake took too long");
    return late || (peer.open && now.wall >= peer.end_time);
  });
}

int TlsListener::WaitMillis() {
  constexpr absl::Duration kLongest = absl::Minutes(1);  // Wall clocks jump.
  if (out_of_descriptors_) return kTcpBackOffMillis;
  if (peers_.empty()) return -1;
  const Instant now = clock_.Now();
  absl::Duration wait = kLongest;
  for (const auto& [id, peer] : peers_) {
    wait = std::min(wait, peer->open ? peer->end_time - now.wall : peer->shake_by - now.mono);
  }
  return static_cast<int>(absl::ToInt64Milliseconds(std::max(wait, absl::ZeroDuration()))) + 1;
}

void TlsListener::Warn(const std::string& host, const std::string& why) {
  const absl::Duration now = clock_.Now().mono;
  if (warned_at_.size() >= kHostsWarnedMax) warned_at_.clear();
  const auto [warned, first] = warned_at_.emplace(host, now);
  if (!first && now - warned->second < kHostWarnInterval) return;
  warned->second = now;
  Log(LogLevel::kWarning, {}, absl::StrCat("a TLS connection from ", host, " is closed: ", why));
}

}  // namespace shadow
