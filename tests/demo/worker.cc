#include "tests/demo/worker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace shadow::demo {
namespace {

constexpr uint64_t kListenerId = 0;
constexpr uint64_t kStopId = 1;
constexpr int kEventsMax = 64;
constexpr int kBacklog = 256;
constexpr int kAcceptsMax = 64;       // A turn of the loop.
constexpr size_t kReadBytes = 16384;  // A turn of the loop.
constexpr size_t kInputMaxBytes = kHeadMaxBytes + static_cast<size_t>(kBodyMaxBytes);
constexpr absl::Duration kSweepInterval = absl::Milliseconds(500);
// A longer turn of the loop than asked for means that the process was stopped meanwhile.
constexpr absl::Duration kStoppedAfter = absl::Seconds(1);

int StatusFor(const absl::Status& error) {
  if (error.code() == absl::StatusCode::kOutOfRange) return 431;
  if (error.code() == absl::StatusCode::kUnimplemented) return 501;
  return 400;
}

absl::Status CheckOptions(const WorkerOptions& options) {
  if (!(options.capacity > 0 && options.capacity <= 100000)) {
    return absl::InvalidArgumentError(
        absl::StrCat("capacity: ", options.capacity, " is not in (0, 100000] requests/s"));
  }
  if (options.service_time <= absl::ZeroDuration() || options.service_time > absl::Minutes(1)) {
    return absl::InvalidArgumentError("service-time: wanted above 0 and at most 1m");
  }
  if (options.port < 0 || options.port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("port: ", options.port, " is not in [0, 65535]"));
  }
  if (options.queue_max < 0) return absl::InvalidArgumentError("queue: wanted 0 or more");
  if (!(options.faults.fail_ratio >= 0 && options.faults.fail_ratio <= 1)) {
    return absl::InvalidArgumentError("fail-ratio: wanted 0 to 1");
  }
  return absl::OkStatus();
}

}  // namespace

DemoWorker::DemoWorker(const WorkerOptions& options, const Clock& clock)
    : options_(options), clock_(clock), random_(options.seed) {
  const double wanted = options.capacity * absl::ToDoubleSeconds(options.service_time);
  slots_max_ = std::max(1, static_cast<int>(std::ceil(wanted - 1e-9)));
  hold_ = absl::Seconds(static_cast<double>(slots_max_) / options.capacity);
}

absl::StatusOr<std::unique_ptr<DemoWorker>> DemoWorker::Listen(const WorkerOptions& options,
                                                               const Clock& clock) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  std::unique_ptr<DemoWorker> worker(new DemoWorker(options, clock));
  worker->epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  worker->listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (worker->epoll_fd_ < 0 || worker->listen_fd_ < 0) {
    return absl::UnavailableError(absl::StrCat("socket: ", std::strerror(errno)));
  }
  const int on = 1;
  setsockopt(worker->listen_fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(options.port));
  if (inet_pton(AF_INET, options.address.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("address: ", options.address, " is no IPv4"));
  }
  socklen_t length = sizeof(address);
  if (bind(worker->listen_fd_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(worker->listen_fd_, kBacklog) != 0 ||
      getsockname(worker->listen_fd_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return absl::UnavailableError(
        absl::StrCat("listen on ", options.address, ":", options.port, ": ", std::strerror(errno)));
  }
  worker->port_ = ntohs(address.sin_port);
  worker->SetListening(true);
  return worker;
}

DemoWorker::~DemoWorker() {
  for (const auto& [id, connection] : connections_) close(connection->fd);
  if (listen_fd_ >= 0) close(listen_fd_);
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

int DemoWorker::Run(int stop_fd) {
  epoll_event stop{.events = EPOLLIN, .data = {.u64 = kStopId}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, stop_fd, &stop);
  absl::Duration now = Now();
  next_sweep_ = now + kSweepInterval;
  while (!stopping_ || (!connections_.empty() && now < finish_by_)) {
    if (options_.faults.exit_after.has_value() && answered_ >= *options_.faults.exit_after) {
      return kExitAfterStatus;
    }
    std::array<epoll_event, kEventsMax> events;
    const int wait_ms = WaitMillis(now);
    const int count = epoll_wait(epoll_fd_, events.data(), kEventsMax, wait_ms);
    const absl::Duration before = now;
    now = Now();
    const absl::Duration stopped = now - before - absl::Milliseconds(wait_ms);
    if (stopped > kStoppedAfter) {
      for (auto& [id, connection] : connections_) connection->deadline += stopped;
    }
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == kListenerId) {
        Accept();
      } else if (event.data.u64 == kStopId) {
        epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, stop_fd, nullptr);
        BeginStop();
      } else {
        OnEvent(event.data.u64, event.events);
      }
    }
    FinishSlots(now);
    if (now >= next_sweep_) CloseExpired(now);
  }
  return 0;
}

int DemoWorker::WaitMillis(absl::Duration now) const {
  absl::Duration until = next_sweep_;
  if (!busy_.empty()) until = std::min(until, busy_.top().free_at);
  if (until <= now) return 0;
  return static_cast<int>(absl::ToInt64Milliseconds(until - now)) + 1;
}

void DemoWorker::SetListening(bool listening) {
  if (listening == listening_ || listen_fd_ < 0) return;
  listening_ = listening;
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kListenerId}};
  epoll_ctl(epoll_fd_, listening ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listen_fd_, &event);
}

void DemoWorker::Accept() {
  for (int i = 0; i < kAcceptsMax && !stopping_; ++i) {
    if (connections_.size() >= kConnectionsMax) return SetListening(false);
    const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // Out of descriptors: the next sweep listens again.
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) SetListening(false);
      return;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    auto connection = std::make_unique<Connection>();
    connection->fd = fd;
    connection->interest = EPOLLIN;
    connection->deadline = Now() + kReadTimeout;
    const uint64_t id = next_id_++;
    epoll_event event{.events = EPOLLIN, .data = {.u64 = id}};
    epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
    connections_.emplace(id, std::move(connection));
  }
}

void DemoWorker::OnEvent(uint64_t id, uint32_t events) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Close(id);
  if ((events & EPOLLRDHUP) != 0 && connection.in_service) return Close(id);
  if ((events & EPOLLOUT) != 0 && Flush(id, connection)) return Advance(id);
  if ((events & EPOLLIN) != 0) ReadSome(id, connection);
}

void DemoWorker::ReadSome(uint64_t id, Connection& connection) {
  std::array<char, kReadBytes> bytes;
  const ssize_t count = recv(connection.fd, bytes.data(), bytes.size(), 0);
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return Close(id);
  if (count < 0) return;
  if (connection.in.empty()) connection.deadline = Now() + kReadTimeout;
  connection.in.append(bytes.data(), static_cast<size_t>(count));
  if (connection.in.size() > kInputMaxBytes + kReadBytes) return Close(id);
  Advance(id);
}

void DemoWorker::Advance(uint64_t id) {
  for (;;) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    Connection& connection = *found->second;
    if (connection.in_service || !connection.out.empty()) break;
    absl::StatusOr<std::optional<RequestHead>> head = ParseRequestHead(connection.in);
    if (!head.ok()) {
      connection.keep_alive = false;
      connection.in.clear();
      Respond(id, connection, StatusFor(head.status()), "bad request\n");
      return;
    }
    if (!head->has_value()) break;
    const size_t all_bytes = (*head)->head_bytes + static_cast<size_t>((*head)->body_bytes);
    if (connection.in.size() < all_bytes) break;
    connection.in.erase(0, all_bytes);
    connection.keep_alive = (*head)->keep_alive && !stopping_;
    TakeRequest(id, connection, **head);
  }
  SetInterest(id, *connections_.at(id));
}

void DemoWorker::TakeRequest(uint64_t id, Connection& connection, const RequestHead& head) {
  if (head.method != "GET" && head.method != "HEAD" && head.method != "POST") {
    return Respond(id, connection, 405, "wanted GET or POST\n");
  }
  if (head.path == "/healthz") return Respond(id, connection, 200, "up\n");
  if (head.path != "/") return Respond(id, connection, 404, "wanted / or /healthz\n");
  const bool slot_free = busy_.size() < static_cast<size_t>(slots_max_);
  if (!slot_free && waiting_.size() >= static_cast<size_t>(options_.queue_max)) {
    return Respond(id, connection, 503, "the queue is full\n");
  }
  connection.in_service = true;
  waiting_.push_back(id);
  StartWaiting(Now());
}

void DemoWorker::StartWaiting(absl::Duration now) {
  while (!waiting_.empty() && busy_.size() < static_cast<size_t>(slots_max_)) {
    const uint64_t id = waiting_.front();
    waiting_.pop_front();
    if (!connections_.contains(id)) continue;
    ++started_;
    const WorkerFaults& faults = options_.faults;
    const bool slow = faults.slow_after.has_value() && started_ > *faults.slow_after;
    bool fail = faults.fail_after.has_value() && started_ > *faults.fail_after;
    if (faults.fail_ratio > 0) {
      fail |= std::uniform_real_distribution<double>(0, 1)(random_) < faults.fail_ratio;
    }
    busy_.push({.free_at = now + hold_ + (slow ? faults.slow_by : absl::ZeroDuration()),
                .connection = id,
                .status = fail ? 500 : 200});
  }
}

void DemoWorker::FinishSlots(absl::Duration now) {
  while (!busy_.empty() && busy_.top().free_at <= now) {
    const Slot slot = busy_.top();
    busy_.pop();
    ++answered_;
    const auto found = connections_.find(slot.connection);
    if (found != connections_.end()) {
      found->second->in_service = false;
      Respond(slot.connection, *found->second, slot.status,
              slot.status == 200 ? options_.body : "failed as asked\n");
      Advance(slot.connection);
    }
  }
  StartWaiting(now);
}

void DemoWorker::Respond(uint64_t id, Connection& connection, int status, std::string_view body) {
  if (stopping_) connection.keep_alive = false;
  connection.out = MakeResponse(status, body, connection.keep_alive);
  connection.deadline = Now() + kWriteTimeout;
  Flush(id, connection);
}

// True when all was written and the connection lives on.
bool DemoWorker::Flush(uint64_t id, Connection& connection) {
  const ssize_t count =
      send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN && errno != EINTR) {
    Close(id);
    return false;
  }
  if (count > 0) connection.out.erase(0, static_cast<size_t>(count));
  if (connection.out.empty() && !connection.keep_alive) {
    Close(id);
    return false;
  }
  SetInterest(id, connection);
  if (!connection.out.empty()) return false;
  connection.deadline = Now() + (connection.in.empty() ? kIdleTimeout : kReadTimeout);
  return true;
}

void DemoWorker::SetInterest(uint64_t id, Connection& connection) {
  uint32_t interest = EPOLLIN;
  if (connection.in_service) interest = EPOLLRDHUP;
  if (!connection.out.empty()) interest = EPOLLOUT;
  if (interest == connection.interest) return;
  connection.interest = interest;
  epoll_event event{.events = interest, .data = {.u64 = id}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, connection.fd, &event);
}

void DemoWorker::CloseExpired(absl::Duration now) {
  next_sweep_ = now + kSweepInterval;
  std::vector<uint64_t> expired;
  for (const auto& [id, connection] : connections_) {
    if (!connection->in_service && connection->deadline <= now) expired.push_back(id);
  }
  for (const uint64_t id : expired) Close(id);
  if (connections_.size() < kConnectionsMax && !stopping_) SetListening(true);
}

void DemoWorker::BeginStop() {
  if (stopping_) return;
  stopping_ = true;
  finish_by_ = Now() + kFinishTimeout;
  SetListening(false);
  close(listen_fd_);
  listen_fd_ = -1;
  std::vector<uint64_t> ids;
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  for (const uint64_t id : ids) {
    // A request that has just arrived is still answered; ReadSome closes what has hung up.
    const auto found = connections_.find(id);
    if (found == connections_.end() || found->second->in_service) continue;
    Connection& connection = *found->second;
    connection.keep_alive = false;
    if (connection.out.empty()) ReadSome(id, connection);
    if (!connections_.contains(id)) continue;
    if (!connection.in_service && connection.in.empty() && connection.out.empty()) Close(id);
  }
}

void DemoWorker::Close(uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  close(found->second->fd);
  connections_.erase(found);
}

}  // namespace shadow::demo
