#include "tests/demo/test_worker.h"

#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/demo/http_wire.h"

namespace shadow::demo {

TestWorker::TestWorker(const WorkerOptions& options)
    : worker_(DemoWorker::Listen(options, clock_).value()), stop_fd_(eventfd(0, EFD_CLOEXEC)) {
  thread_ = std::thread([this] { exit_status_ = worker_->Run(stop_fd_); });
}

TestWorker::~TestWorker() {
  Stop();
  if (thread_.joinable()) thread_.join();
  close(stop_fd_);
}

void TestWorker::Stop() { eventfd_write(stop_fd_, 1); }

int TestWorker::Wait() {
  thread_.join();
  return exit_status_;
}

TestConnection::TestConnection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

TestConnection::~TestConnection() { close(fd_); }

void TestConnection::Send(std::string_view bytes) {
  [[maybe_unused]] const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void TestConnection::Get(std::string_view path) {
  Send(absl::StrCat("GET ", absl::string_view(path.data(), path.size()),
                    " HTTP/1.1\r\nHost: x\r\n\r\n"));
}

int TestConnection::ReadStatus() {
  for (;;) {
    const auto head = ParseResponseHead(in_);
    if (!head.ok()) return 0;
    if (head->has_value()) {
      const size_t bytes = (*head)->head_bytes + static_cast<size_t>((*head)->body_bytes.value());
      if (in_.size() >= bytes) {
        in_.erase(0, bytes);
        return (*head)->status;
      }
    }
    std::array<char, 4096> more;
    const ssize_t count = recv(fd_, more.data(), more.size(), 0);
    if (count <= 0) return 0;
    in_.append(more.data(), static_cast<size_t>(count));
  }
}

bool TestConnection::ClosedByPeer() {
  std::array<char, 4096> rest;
  ssize_t count = 1;
  while (count > 0) count = recv(fd_, rest.data(), rest.size(), 0);
  return count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace shadow::demo
