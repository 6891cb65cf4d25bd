#include "server/api/access/caller.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"

namespace shadow {

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kNone:
      return "none";
    case Role::kViewer:
      return "viewer";
    case Role::kReporter:
      return "reporter";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      return "admin";
  }
  return "";
}

std::string Caller::Name() const {
  if (uid.has_value()) return absl::StrCat("user ", *uid);
  return certificates.empty() ? "nobody" : absl::StrCat("certificate ", certificates.front());
}

std::optional<Caller> CallerOfSocket(int fd) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return std::nullopt;
  Caller caller{.uid = peer.uid};
  length = 0;
  // Asked for nothing, the kernel says how much there is.
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, nullptr, &length) != 0 && errno != ERANGE) {
    return std::nullopt;
  }
  caller.gids.resize(length / sizeof(gid_t));
  if (length > 0 && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, caller.gids.data(), &length) != 0) {
    return std::nullopt;
  }
  caller.gids.push_back(peer.gid);
  std::sort(caller.gids.begin(), caller.gids.end());
  caller.gids.erase(std::unique(caller.gids.begin(), caller.gids.end()), caller.gids.end());
  return caller;
}

}  // namespace shadow
