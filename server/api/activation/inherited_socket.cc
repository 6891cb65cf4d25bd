#include "server/api/activation/inherited_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

absl::Status RefusedSocket(const std::string& found) {
  return absl::FailedPreconditionError(
      absl::StrCat("LISTEN_FDS: wanted one listening Unix stream socket, bound to a path; found ",
                   found, " (see shadowd.socket)"));
}

int OptionOf(int fd, int option) {
  int value = -1;
  socklen_t length = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

}  // namespace

absl::StatusOr<std::optional<InheritedSocket>> TakeInheritedSocket() {
  const int count = sd_listen_fds(1);
  if (count < 0) return RefusedSocket("a value that is no number");
  if (count == 0) return std::nullopt;
  if (count > 1) return RefusedSocket(absl::StrCat(count, " descriptors"));
  InheritedSocket inherited{.fd = SD_LISTEN_FDS_START, .path = {}};
  sockaddr_un address{};
  socklen_t length = sizeof(address);
  if (getsockname(inherited.fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return RefusedSocket(errno == ENOTSOCK ? "no socket" : "a descriptor that is not open");
  }
  if (address.sun_family != AF_UNIX) return RefusedSocket("a socket of another family");
  if (OptionOf(inherited.fd, SO_TYPE) != SOCK_STREAM)
    return RefusedSocket("a socket of another type");
  if (OptionOf(inherited.fd, SO_ACCEPTCONN) != 1)
    return RefusedSocket("a socket that does not listen");
  if (length <= offsetof(sockaddr_un, sun_path) || address.sun_path[0] == '\0') {
    return RefusedSocket("a socket without a path");
  }
  const int flags = fcntl(inherited.fd, F_GETFL);
  if (flags < 0 || fcntl(inherited.fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return absl::ErrnoToStatus(errno, "cannot make the socket of systemd non-blocking");
  }
  inherited.path.assign(address.sun_path,
                        strnlen(address.sun_path, length - offsetof(sockaddr_un, sun_path)));
  return inherited;
}

}  // namespace shadow
