#include "server/api/listener.h"

#include <fcntl.h>
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
constexpr int kBackOffMillis = 50;  // Where something is wanting, e.g. memory or a descriptor.
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

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(const std::string& path, IsAdmin is_admin,
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
  return std::make_unique<Listener>(fd, stop_fd, path, std::move(is_admin),
                                    std::move(on_connection));
}

std::unique_ptr<Listener> Listener::Inherit(int socket_fd, IsAdmin is_admin,
                                            OnConnection on_connection) {
  return std::make_unique<Listener>(socket_fd, eventfd(0, EFD_CLOEXEC), "", std::move(is_admin),
                                    std::move(on_connection));
}

Listener::Listener(int socket_fd, int stop_fd, std::string path, IsAdmin is_admin,
                   OnConnection on_connection)
    : socket_fd_(socket_fd),
      stop_fd_(stop_fd),
      path_(std::move(path)),
      is_admin_(std::move(is_admin)),
      on_connection_(std::move(on_connection)) {
  RefillSpares();
  thread_ = std::thread([this] { Run(); });
}

Listener::~Listener() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  while (SpendSpare()) {
  }
  if (!path_.empty()) unlink(path_.c_str());
  close(socket_fd_);
  close(stop_fd_);
}

void Listener::Run() {
  pollfd waits[] = {{.fd = socket_fd_, .events = POLLIN, .revents = 0},
                    {.fd = stop_fd_, .events = POLLIN, .revents = 0}};
  while (true) {
    const int timeout_millis = RefillSpares() ? -1 : kBackOffMillis;
    if (poll(waits, 2, timeout_millis) < 0 && errno != EINTR) return;
    if (waits[1].revents != 0) return;
    if (waits[0].revents != 0 && !Accept()) poll(&waits[1], 1, kBackOffMillis);
  }
}

bool Listener::Accept() {
  const auto accept = [this] {
    return accept4(socket_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  };
  int fd = accept();
  const bool none_free = fd < 0 && (errno == EMFILE || errno == ENFILE);
  if (none_free && SpendSpare()) fd = accept();
  if (fd < 0) return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
  if (none_free || !OneIsFree()) SpendSpare();  // To find out who calls takes one for a moment.
  if (none_free && !is_admin_(fd)) {
    close(fd);
    return true;
  }
  on_connection_(fd);
  return true;
}

bool Listener::OneIsFree() const {
  const int probe = fcntl(stop_fd_, F_DUPFD_CLOEXEC, 0);
  if (probe >= 0) close(probe);
  return probe >= 0;
}

bool Listener::RefillSpares() {
  while (spares_.size() < kSpares) {
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    spares_.push_back(fd);
  }
  return true;
}

bool Listener::SpendSpare() {
  if (spares_.empty()) return false;
  close(spares_.back());
  spares_.pop_back();
  return true;
}

}  // namespace shadow
