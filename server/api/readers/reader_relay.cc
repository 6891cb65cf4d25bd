#include "server/api/readers/reader_relay.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/log/log.h"

namespace shadow {
namespace {

constexpr int kConnectionsMax = 256;
constexpr int kConnectionsMin = 2;
constexpr uint64_t kShareOfDescriptors = 4;  // Readers get one of four.
constexpr int kShareOfUser = 8;
constexpr size_t kBufferBytes = 16 << 10;
constexpr int kEventsMax = 64;       // Taken from epoll at a time.
constexpr int kLastBuffersMax = 16;  // Sent to a peer whose connection is being closed.
constexpr absl::Duration kWarnInterval = absl::Minutes(1);

// Gives `fd` the address of `connection`, in the abstract namespace, which no file stands for.
bool NameSocket(int fd, uint64_t connection) {
  uint64_t random = 0;  // The address must be new, and nobody can take it before.
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = absl::StrCat(Access::AddressOf(connection), absl::Hex(random));
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const size_t length = offsetof(sockaddr_un, sun_path) + 1 + name.size();
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length)) == 0;
}

absl::StatusOr<std::pair<int, int>> MakePair(uint64_t connection) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat("socketpair: ", strerrordesc_np(errno)));
  }
  if (NameSocket(pair[0], connection)) return std::pair(pair[0], pair[1]);
  close(pair[0]);
  close(pair[1]);
  return absl::ResourceExhaustedError("cannot name a socket");
}

}  // namespace

// One connection. Events carry its id twice, with the side in the last bit.
struct ReaderRelay::Link {
  // Bytes on their way in one direction.
  struct Buffer {
    bool empty() const { return begin == end; }

    std::array<char, kBufferBytes> bytes;
    size_t begin = 0;
    size_t end = 0;
  };

  Link(uint64_t link_id, std::pair<int, int> ends, Access& callers, const Caller& who,
       ReaderShare& caller_share)
      : id(link_id),
        peer(ends.first),
        inner(ends.second),
        access(callers),
        caller(who),
        share(caller_share),
        guard(share) {
    ++share.connections;
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() {
    --share.connections;
    access.Remove(id);
    close(peer);
    close(inner);
  }

  // Fills an empty buffer from `from`; `length` is what came.
  static Passed Receive(int from, Buffer& buffer, size_t& length);
  static Passed Send(int to, Buffer& buffer);

  // An error: a limit.
  absl::StatusOr<Passed> FromPeer();
  Passed FromInner();

  const uint64_t id;  // Of the connection in `access`.
  const int peer;
  const int inner;  // Towards gRPC.
  Access& access;
  const Caller caller;
  ReaderShare& share;
  FrameGuard guard;
  Buffer to_inner;
  Buffer to_peer;
  bool paused = false;
  uint32_t peer_events = 0;  // What epoll watches for.
  uint32_t inner_events = 0;
};

ReaderRelay::Passed ReaderRelay::Link::Receive(int from, Buffer& buffer, size_t& length) {
  length = 0;
  const ssize_t got = recv(from, buffer.bytes.data(), buffer.bytes.size(), 0);
  if (got < 0) {
    return errno == EAGAIN || errno == EINTR ? Passed::kGoesOn : Passed::kEnded;
  }
  if (got == 0) return Passed::kEnded;
  length = static_cast<size_t>(got);
  buffer.begin = 0;
  buffer.end = length;
  return Passed::kGoesOn;
}

ReaderRelay::Passed ReaderRelay::Link::Send(int to, Buffer& buffer) {
  while (!buffer.empty()) {
    const ssize_t sent =
        send(to, buffer.bytes.data() + buffer.begin, buffer.end - buffer.begin, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR ? Passed::kGoesOn : Passed::kEnded;
    buffer.begin += static_cast<size_t>(sent);
  }
  return Passed::kGoesOn;
}

absl::StatusOr<ReaderRelay::Passed> ReaderRelay::Link::FromPeer() {
  size_t length = 0;
  if (Receive(peer, to_inner, length) == Passed::kEnded) return Passed::kEnded;
  const absl::Status allowed = guard.FromClient({to_inner.bytes.data(), length});
  if (!allowed.ok()) return allowed;
  paused = share.units < 0;
  return Send(inner, to_inner);
}

ReaderRelay::Passed ReaderRelay::Link::FromInner() {
  size_t length = 0;
  if (Receive(inner, to_peer, length) == Passed::kEnded) return Passed::kEnded;
  guard.FromServer({to_peer.bytes.data(), length});
  return Send(peer, to_peer);
}

ReaderRelay::Limits ReaderRelay::LimitsOf(uint64_t descriptors) {
  const uint64_t all = descriptors / kShareOfDescriptors / kDescriptorsOfConnection;
  const int connections =
      static_cast<int>(std::clamp<uint64_t>(all, kConnectionsMin, kConnectionsMax));
  return {.connections = connections,
          .connections_of_user = std::max(kConnectionsMin, connections / kShareOfUser)};
}

ReaderRelay::ReaderRelay(const Limits& limits, Access& access, Clock& clock)
    : limits_(limits),
      access_(access),
      clock_(clock),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      stop_fd_(eventfd(0, EFD_CLOEXEC)) {
  epoll_event stop{.events = EPOLLIN, .data = {.u64 = 0}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, stop_fd_, &stop);
  thread_ = std::thread([this] { Run(); });
}

ReaderRelay::~ReaderRelay() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  links_.clear();
  close(stop_fd_);
  close(epoll_fd_);
}

absl::StatusOr<int> ReaderRelay::Add(int fd, const Caller& caller) {
  const std::lock_guard lock(mutex_);
  absl::StatusOr<int> inner = AddLocked(fd, caller);
  if (!inner.ok()) close(fd);
  return inner;
}

absl::StatusOr<int> ReaderRelay::AddLocked(int fd, const Caller& caller) {
  ForgetIdleShares();
  if (static_cast<int>(links_.size()) >= limits_.connections) {
    return absl::ResourceExhaustedError(
        absl::StrCat("readers already have ", limits_.connections, " connections"));
  }
  const std::string name = caller.Name();
  ReaderShare& share = ShareOf(name);
  if (share.connections >= limits_.connections_of_user) {
    return absl::ResourceExhaustedError(
        absl::StrCat(name, " already has ", limits_.connections_of_user, " connections"));
  }
  if (share.units < 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat(name, " asks for too much work; try again later"));
  }
  share.units -= ReaderShare::kUnitsOfConnection;
  const uint64_t id = access_.Add(caller);
  const auto pair = MakePair(id);
  if (!pair.ok()) {
    access_.Remove(id);
    return pair.status();
  }
  Link& link = *links_
                    .emplace(id, std::make_unique<Link>(id, std::pair(fd, pair->first), access_,
                                                        caller, share))
                    .first->second;
  epoll_event none{.events = 0, .data = {.u64 = 2 * id}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, link.peer, &none);
  none.data.u64 = 2 * id + 1;
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, link.inner, &none);
  Watch(link);
  return pair->second;
}

ReaderShare& ReaderRelay::ShareOf(const std::string& caller) {
  ReaderShare& share = shares_[caller];
  share.Refill(clock_.Now().mono);
  return share;
}

// A user who comes and goes has spent what was spent.
void ReaderRelay::ForgetIdleShares() {
  const absl::Duration mono = clock_.Now().mono;
  for (auto& [caller, share] : shares_) share.Refill(mono);
  std::erase_if(shares_, [](const auto& entry) {
    return entry.second.connections == 0 && entry.second.units >= ReaderShare::kUnitsMax;
  });
  std::erase_if(warned_at_,
                [mono](const auto& entry) { return mono - entry.second > kWarnInterval; });
}

void ReaderRelay::Run() {
  std::array<epoll_event, kEventsMax> events;
  int timeout_millis = -1;
  while (true) {
    const int count = epoll_wait(epoll_fd_, events.data(), kEventsMax, timeout_millis);
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == 0) return;
      OnEvent(event.data.u64, event.events);
    }
    ResumePaused();
    timeout_millis = WaitMillis();
  }
}

int ReaderRelay::WaitMillis() {
  absl::Duration wait = absl::InfiniteDuration();
  for (const auto& [id, link] : links_) {
    if (link->paused) wait = std::min(wait, link->share.Wait());
  }
  if (wait == absl::InfiniteDuration()) return -1;
  return static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1;
}

void ReaderRelay::ResumePaused() {
  const absl::Duration mono = clock_.Now().mono;
  for (const auto& [id, link] : links_) {
    link->share.Refill(mono);
    const bool paused = link->share.units < 0;
    if (std::exchange(link->paused, paused) != paused) Watch(*link);
  }
}

void ReaderRelay::OnEvent(uint64_t token, uint32_t events) {
  const auto found = links_.find(token / 2);
  if (found == links_.end()) return;  // Closed by an event before this one.
  Link& link = *found->second;
  const bool of_peer = token % 2 == 0;
  absl::StatusOr<Passed> passed = Passed::kGoesOn;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) passed = Passed::kEnded;
  if ((events & EPOLLOUT) != 0 && *passed == Passed::kGoesOn) {
    passed = of_peer ? Link::Send(link.peer, link.to_peer) : Link::Send(link.inner, link.to_inner);
  }
  if ((events & EPOLLIN) != 0 && *passed == Passed::kGoesOn) {
    if (!of_peer && link.to_peer.empty()) passed = link.FromInner();
    if (of_peer && link.to_inner.empty() && !link.paused) passed = link.FromPeer();
  }
  if (passed.ok() && *passed == Passed::kGoesOn) return Watch(link);
  if (!passed.ok()) {
    const absl::Duration mono = clock_.Now().mono;
    if (warned_at_.emplace(link.caller.Name(), mono).second) {
      Log(LogLevel::kWarning, {.uid = link.caller.uid, .kind = MessageKind::kConnectionClosed},
          absl::StrCat("a connection of ", link.caller.Name(),
                       " is closed: ", passed.status().message()));
    }
  }
  Close(link.id);
}

void ReaderRelay::Close(uint64_t id) {
  Link& link = *links_.at(id);
  size_t length = 0;
  for (int i = 0; i < kLastBuffersMax; ++i) {
    if (Link::Send(link.peer, link.to_peer) == Passed::kEnded || !link.to_peer.empty()) break;
    if (Link::Receive(link.inner, link.to_peer, length) == Passed::kEnded || length == 0) break;
  }
  links_.erase(id);
}

// Reads where there is room, writes where there is something. A peer who does not take its answers
// is not heard either: gRPC would keep them.
void ReaderRelay::Watch(Link& link) {
  const auto watch = [this](int fd, uint64_t token, uint32_t wanted, uint32_t& watched) {
    if (std::exchange(watched, wanted) == wanted) return;
    epoll_event event{.events = wanted, .data = {.u64 = token}};
    epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
  };
  const uint32_t in = EPOLLIN;
  const uint32_t out = EPOLLOUT;
  const bool read_peer = link.to_inner.empty() && link.to_peer.empty() && !link.paused;
  watch(link.peer, 2 * link.id, (read_peer ? in : 0) | (link.to_peer.empty() ? 0 : out),
        link.peer_events);
  watch(link.inner, 2 * link.id + 1,
        (link.to_peer.empty() ? in : 0) | (link.to_inner.empty() ? 0 : out), link.inner_events);
}

}  // namespace shadow
