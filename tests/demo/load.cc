#include "tests/demo/load.h"

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

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/demo/curve.h"
#include "tests/demo/http_wire.h"

namespace shadow::demo {
namespace {

constexpr int kEventsMax = 256;
constexpr size_t kReadBytes = 16384;
constexpr size_t kAnswerMaxBytes = 1 << 20;
constexpr absl::Duration kTurnMax = absl::Milliseconds(50);
// Servers close idle connections; one this old is not trusted with a request any more.
constexpr absl::Duration kIdleMax = absl::Seconds(20);

sockaddr_in Address(const LoadOptions& options) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(options.port));
  inet_pton(AF_INET, options.host.c_str(), &address.sin_addr);
  return address;
}

}  // namespace

double NearestRank(const std::vector<double>& ascending, double quantile) {
  if (ascending.empty()) return 0;
  const double rank = std::ceil(quantile * static_cast<double>(ascending.size()) - 1e-9);
  const auto last = static_cast<double>(ascending.size() - 1);
  return ascending[static_cast<size_t>(std::clamp(rank - 1, 0.0, last))];
}

std::string LoadReportJson(const LoadReport& report) {
  std::string json = absl::StrFormat(
      "{\"sent\": %d, \"ok\": %d, \"failed\": %d, \"failed_status\": %d, "
      "\"failed_connection\": %d, \"failed_timeout\": %d, \"latency_p50_ms\": %.3f, "
      "\"latency_p90_ms\": %.3f, \"latency_p99_ms\": %.3f, \"latency_max_ms\": %.3f, \"steps\": [",
      report.sent, report.ok, report.failed, report.failed_status, report.failed_connection,
      report.failed_timeout, NearestRank(report.latencies_ms, 0.5),
      NearestRank(report.latencies_ms, 0.9), NearestRank(report.latencies_ms, 0.99),
      NearestRank(report.latencies_ms, 1));
  for (size_t i = 0; i < report.steps.size(); ++i) {
    const LoadStep& step = report.steps[i];
    absl::StrAppendFormat(&json, "%s{\"arrivals\": %d, \"ok\": %d, \"failed\": %d}",
                          i == 0 ? "" : ", ", step.arrivals, step.ok, step.failed);
  }
  return json + "]}\n";
}

LoadRun::LoadRun(const LoadOptions& options, const Clock& clock)
    : options_(options), clock_(clock) {
  request_text_ =
      absl::StrCat("GET ", options.path, " HTTP/1.1\r\nHost: ", options.host, ":", options.port,
                   options.keep_alive ? "" : "\r\nConnection: close", "\r\n\r\n");
  report_.steps.resize(options.rates.size());
}

LoadRun::~LoadRun() {
  for (const auto& [id, connection] : connections_) close(connection->fd);
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

absl::Status LoadRun::CheckOptions() {
  in_addr parsed{};
  if (inet_pton(AF_INET, options_.host.c_str(), &parsed) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("host: \"", options_.host, "\" is not an IPv4 address"));
  }
  if (options_.port < 1 || options_.port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("port: ", options_.port, " is not in [1, 65535]"));
  }
  if (options_.step <= absl::ZeroDuration() || options_.timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("step and timeout: wanted above 0");
  }
  if (options_.connections_max < 1) {
    return absl::InvalidArgumentError("connections: wanted 1 or more");
  }
  return absl::OkStatus();
}

absl::Status LoadRun::Run(absl::Duration start, const std::atomic<bool>& stop) {
  if (absl::Status status = CheckOptions(); !status.ok()) return status;
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return absl::UnavailableError("epoll_create1 failed");
  arrivals_ = Arrivals(options_.rates, options_.step, options_.seed);
  start_ = start;
  const auto total = static_cast<int64_t>(arrivals_.size());
  absl::Duration now = clock_.Now().mono;
  while (!stop && (next_ < total || !in_flight_.empty() || !waiting_.empty())) {
    std::array<epoll_event, kEventsMax> events;
    const int count = epoll_wait(epoll_fd_, events.data(), kEventsMax, WaitMillis(now));
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      OnEvent(event.data.u64, event.events);
    }
    now = clock_.Now().mono;
    ExpireOld(now);
    SendDue(now);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  std::sort(report_.latencies_ms.begin(), report_.latencies_ms.end());
  finished_ = true;
  return absl::OkStatus();
}

LoadReport LoadRun::Snapshot() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  LoadReport copy;
  copy.sent = report_.sent;
  copy.ok = report_.ok;
  copy.failed = report_.failed;
  copy.failed_status = report_.failed_status;
  copy.failed_connection = report_.failed_connection;
  copy.failed_timeout = report_.failed_timeout;
  copy.steps = report_.steps;
  if (finished_) copy.latencies_ms = report_.latencies_ms;
  return copy;
}

LoadStep& LoadRun::StepOf(int64_t request) {
  const int64_t step = arrivals_[static_cast<size_t>(request)] / options_.step;
  return report_.steps[std::min(static_cast<size_t>(step), report_.steps.size() - 1)];
}

int LoadRun::WaitMillis(absl::Duration now) const {
  absl::Duration wait = kTurnMax;
  if (static_cast<size_t>(next_) < arrivals_.size()) {
    wait = std::min(wait, start_ + arrivals_[static_cast<size_t>(next_)] - now);
  }
  if (wait <= absl::ZeroDuration()) return 0;
  return static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1;
}

void LoadRun::SendDue(absl::Duration now) {
  while (static_cast<size_t>(next_) < arrivals_.size() &&
         start_ + arrivals_[static_cast<size_t>(next_)] <= now) {
    const int64_t request = next_++;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++report_.sent;
      ++StepOf(request).arrivals;
    }
    waiting_.push_back(request);
  }
  while (!waiting_.empty() &&
         (!idle_.empty() || connections_.size() < static_cast<size_t>(options_.connections_max))) {
    const int64_t request = waiting_.front();
    waiting_.pop_front();
    Send(request, now);
  }
}

void LoadRun::Send(int64_t request, absl::Duration now) {
  while (!idle_.empty()) {
    const uint64_t id = idle_.back();
    idle_.pop_back();
    const auto found = connections_.find(id);
    if (found == connections_.end()) continue;
    if (now - found->second->idle_since > kIdleMax) {
      Close(id);
      continue;
    }
    found->second->request = request;
    found->second->written = 0;
    in_flight_[request] = id;
    return Write(id);
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Finish(request, Outcome::kConnection);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const sockaddr_in address = Address(options_);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno != EINPROGRESS) {
    close(fd);
    return Finish(request, Outcome::kConnection);
  }
  const uint64_t id = next_id_++;
  auto connection = std::make_unique<Connection>();
  connection->fd = fd;
  connection->request = request;
  connection->connecting = true;
  connections_.emplace(id, std::move(connection));
  in_flight_[request] = id;
  epoll_event event{.events = EPOLLOUT, .data = {.u64 = id}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
}

void LoadRun::Write(uint64_t id) {
  Connection& connection = *connections_.at(id);
  const std::string_view rest = std::string_view(request_text_).substr(connection.written);
  const ssize_t count = send(connection.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN && errno != EINTR) {
    const int64_t request = connection.request;
    Close(id);
    return Finish(request, Outcome::kConnection);
  }
  if (count > 0) connection.written += static_cast<size_t>(count);
  if (connection.written < request_text_.size()) WatchFor(id, EPOLLOUT);
}

void LoadRun::OnEvent(uint64_t id, uint32_t events) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  if (connection.connecting) {
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
      const int64_t request = connection.request;
      Close(id);
      return Finish(request, Outcome::kConnection);
    }
    connection.connecting = false;
    WatchFor(id, EPOLLIN);
    return Write(id);
  }
  if ((events & EPOLLOUT) != 0) {
    WatchFor(id, EPOLLIN);
    return Write(id);
  }
  OnReadable(id);
}

void LoadRun::OnReadable(uint64_t id) {
  Connection& connection = *connections_.at(id);
  std::array<char, kReadBytes> bytes;
  const ssize_t count = recv(connection.fd, bytes.data(), bytes.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  const int64_t request = connection.request;
  if (count > 0) connection.in.append(bytes.data(), static_cast<size_t>(count));
  const absl::StatusOr<std::optional<ResponseHead>> head = ParseResponseHead(connection.in);
  // Closed, or bytes that nobody asked for.
  if (request < 0) return Close(id);
  if (head.ok() && head->has_value()) {
    const ResponseHead& answer = **head;
    const size_t body_bytes = connection.in.size() - answer.head_bytes;
    const bool whole = answer.body_bytes.has_value()
                           ? body_bytes >= static_cast<size_t>(*answer.body_bytes)
                           : count <= 0;
    if (whole) return OnAnswer(id, answer.status, answer.keep_alive && count > 0);
  }
  if (count <= 0 || !head.ok() || connection.in.size() > kAnswerMaxBytes) {
    Close(id);
    Finish(request, Outcome::kConnection);
  }
}

void LoadRun::OnAnswer(uint64_t id, int status, bool reusable) {
  Connection& connection = *connections_.at(id);
  const int64_t request = connection.request;
  if (reusable && options_.keep_alive) {
    connection.request = -1;
    connection.in.clear();
    connection.idle_since = clock_.Now().mono;
    idle_.push_back(id);
  } else {
    Close(id);
  }
  Finish(request, status >= 200 && status < 300 ? Outcome::kOk : Outcome::kStatus);
}

void LoadRun::ExpireOld(absl::Duration now) {
  // Due times ascend, so the oldest are at the front of both.
  const auto expired = [&](int64_t request) {
    return start_ + arrivals_[static_cast<size_t>(request)] + options_.timeout <= now;
  };
  while (!in_flight_.empty() && expired(in_flight_.begin()->first)) {
    const auto [request, id] = *in_flight_.begin();
    Close(id);
    Finish(request, Outcome::kTimeout);
  }
  while (!waiting_.empty() && expired(waiting_.front())) {
    const int64_t request = waiting_.front();
    waiting_.pop_front();
    Finish(request, Outcome::kTimeout);
  }
}

void LoadRun::Finish(int64_t request, Outcome outcome) {
  in_flight_.erase(request);
  const absl::Duration due = arrivals_[static_cast<size_t>(request)];
  const absl::Duration latency = clock_.Now().mono - start_ - due;
  const std::lock_guard<std::mutex> lock(mutex_);
  LoadStep& step = StepOf(request);
  report_.latencies_ms.push_back(absl::ToDoubleMilliseconds(latency));
  if (outcome == Outcome::kOk) {
    ++report_.ok;
    ++step.ok;
    return;
  }
  ++report_.failed;
  ++step.failed;
  if (outcome == Outcome::kStatus) ++report_.failed_status;
  if (outcome == Outcome::kConnection) ++report_.failed_connection;
  if (outcome == Outcome::kTimeout) ++report_.failed_timeout;
}

void LoadRun::WatchFor(uint64_t id, uint32_t interest) {
  epoll_event event{.events = interest, .data = {.u64 = id}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, connections_.at(id)->fd, &event);
}

void LoadRun::Close(uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  close(found->second->fd);
  connections_.erase(found);
}

}  // namespace shadow::demo
