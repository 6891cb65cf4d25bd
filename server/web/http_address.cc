#include "server/web/http_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/error.h"

namespace shadow {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr int kHttpBacklog = 64;
constexpr mode_t kHttpSocketMode = 0660;

absl::Status BadAddress(const std::string& listen, std::string_view problem) {
  return FieldError("http_listen",
                    absl::StrCat("\"", listen, "\" ", std::string(problem),
                                 "; wanted unix:PATH, 127.0.0.1:PORT or [::1]:PORT"));
}

absl::StatusOr<HttpAddress> ParseUnix(const std::string& listen) {
  HttpAddress parsed{.path = listen.substr(kUnix.size())};
  auto& address = reinterpret_cast<sockaddr_un&>(parsed.address);
  if (!parsed.path.starts_with('/')) return BadAddress(listen, "has no absolute path");
  if (parsed.path.size() >= sizeof(address.sun_path)) {
    return BadAddress(
        listen, absl::StrCat("has a path of ", parsed.path.size(), " bytes, and a socket takes ",
                             sizeof(address.sun_path) - 1));
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, parsed.path.c_str(), parsed.path.size() + 1);
  parsed.length = sizeof(address);
  return parsed;
}

// The host, without brackets, and the port; both empty where there is no port.
std::pair<std::string, std::string> SplitHost(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) return {};
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {std::string(host), std::string(text.substr(colon + 1))};
}

bool IsLoopback(const in_addr& address) { return (ntohl(address.s_addr) >> 24) == 127; }

// Whether a socket of the same address answers.
bool IsServed(const HttpAddress& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const bool served =
      connect(fd, reinterpret_cast<const sockaddr*>(&address.address), address.length) == 0 ||
      errno == EAGAIN;
  close(fd);
  return served;
}

absl::Status ClearOldSocket(const HttpAddress& address) {
  struct stat status {};
  if (lstat(address.path.c_str(), &status) != 0) return absl::OkStatus();
  if (!S_ISSOCK(status.st_mode)) {
    return FieldError("http_listen", absl::StrCat(address.path, " is there and no socket"));
  }
  if (IsServed(address)) {
    return absl::AlreadyExistsError(
        absl::StrCat("http_listen: another process serves ", address.path));
  }
  if (unlink(address.path.c_str()) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot remove the old ", address.path));
}

}  // namespace

absl::StatusOr<HttpAddress> ParseHttpAddress(const std::string& listen) {
  if (listen.starts_with(kUnix)) return ParseUnix(listen);
  const auto [host, port_text] = SplitHost(listen);
  int port = 0;
  const bool digits = port_text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || !absl::SimpleAtoi(port_text, &port) || port > 65535) {  // That takes blanks too.
    return BadAddress(listen, "has no port");
  }
  HttpAddress parsed;
  auto& v4 = reinterpret_cast<sockaddr_in&>(parsed.address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(parsed.address);
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    if (!IsLoopback(v4.sin_addr)) return BadAddress(listen, "is not of the loopback interface");
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<uint16_t>(port));
    parsed.length = sizeof(v4);
    return parsed;
  }
  if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) {
    return BadAddress(listen, "has no IP address");
  }
  if (!IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr)) {
    return BadAddress(listen, "is not of the loopback interface");
  }
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(static_cast<uint16_t>(port));
  parsed.length = sizeof(v6);
  return parsed;
}

absl::StatusOr<int> ListenAt(const HttpAddress& address) {
  if (!address.path.empty()) {
    if (absl::Status cleared = ClearOldSocket(address); !cleared.ok()) return cleared;
  }
  const int fd = socket(address.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return absl::ErrnoToStatus(errno, "http_listen: cannot make a socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // The mode of a file is set before anybody can connect: between bind and listen.
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address.address), address.length) == 0 &&
      (address.path.empty() || chmod(address.path.c_str(), kHttpSocketMode) == 0) &&
      listen(fd, kHttpBacklog) == 0) {
    return fd;
  }
  const int error = errno;
  close(fd);
  return error == EADDRINUSE
             ? absl::AlreadyExistsError("http_listen: another process listens there")
             : absl::ErrnoToStatus(error, "http_listen: cannot listen there");
}

std::string NameOfListener(int socket_fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  char text[INET6_ADDRSTRLEN] = "";
  if (getsockname(socket_fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
  switch (address.ss_family) {
    case AF_UNIX:
      return absl::StrCat("unix:", reinterpret_cast<const sockaddr_un&>(address).sun_path);
    case AF_INET: {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
      inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
      return absl::StrCat(text, ":", ntohs(v4.sin_port));
    }
    case AF_INET6: {
      const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
      inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
      return absl::StrCat("[", text, "]:", ntohs(v6.sin6_port));
    }
    default:
      return "";
  }
}

bool IsLoopbackHost(std::string_view host) {
  auto [name, port] = SplitHost(host);
  if (name.empty()) {
    name = host;
    if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  }
  if (name == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, name.c_str(), &v4) == 1) return IsLoopback(v4);
  in6_addr v6{};
  return inet_pton(AF_INET6, name.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace shadow
