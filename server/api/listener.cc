#include "server/api/listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr int kBacklog = 128;
constexpr int kBackOffMillis = 50;  // After accept failed, e.g. for want of file descriptors.
constexpr mode_t kSocketMode = 0660;

absl::Status Failed(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " ", path));
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

bool Served(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool served =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return served;
}

absl::Status ClearPath(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return absl::OkStatus();
  if (!S_ISSOCK(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("listen: ", path, " is there and no socket"));
  }
  if (Served(address)) {
    return absl::AlreadyExistsError(absl::StrCat("listen: another process serves ", path));
  }
  if (unlink(path.c_str()) != 0) return Failed("cannot remove the old", path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(const std::string& path,
                                                         OnConnection on_connection) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("listen: wanted a path of 1 to ",
                                                   sizeof(sockaddr_un::sun_path) - 1,
                                                   " bytes, found ", path.size()));
  }
  const sockaddr_un address = AddressOf(path);
  if (absl::Status cleared = ClearPath(path, address); !cleared.ok()) return cleared;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Failed("cannot make the socket", path);
  // The mode is set before anybody can connect: between bind and listen.
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(path.c_str(), kSocketMode) != 0 || listen(fd, kBacklog) != 0) {
    const absl::Status status = Failed("cannot listen on", path);
    close(fd);
    return status;
  }
  const int stop_fd = eventfd(0, EFD_CLOEXEC);
  return std::make_unique<Listener>(fd, stop_fd, path, std::move(on_connection));
}

Listener::Listener(int socket_fd, int stop_fd, std::string path, OnConnection on_connection)
    : socket_fd_(socket_fd),
      stop_fd_(stop_fd),
      path_(std::move(path)),
      on_connection_(std::move(on_connection)),
      thread_([this] { Accept(); }) {}

Listener::~Listener() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  unlink(path_.c_str());
  close(socket_fd_);
  close(stop_fd_);
}

void Listener::Accept() {
  pollfd waits[] = {{.fd = socket_fd_, .events = POLLIN, .revents = 0},
                    {.fd = stop_fd_, .events = POLLIN, .revents = 0}};
  while (true) {
    if (poll(waits, 2, -1) < 0 && errno != EINTR) return;
    if (waits[1].revents != 0) return;
    if (waits[0].revents == 0) continue;
    const int fd = accept4(socket_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        poll(&waits[1], 1, kBackOffMillis);
      }
      continue;
    }
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
      close(fd);
      continue;
    }
    on_connection_(fd, peer.uid);
  }
}

}  // namespace shadow
