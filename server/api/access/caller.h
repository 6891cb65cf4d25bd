// Who calls: what the kernel or a client certificate has proved, and what it may do.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shadow {

// Each may do what those before it may.
enum class Role { kNone, kViewer, kReporter, kOperator, kAdmin };

// "viewer"; "none".
std::string_view RoleName(Role role);

struct Caller {
  std::optional<uid_t> uid = {};               // Of the peer of a Unix socket; unset: over TCP.
  std::vector<gid_t> gids = {};                // Its groups, ascending.
  std::vector<std::string> certificates = {};  // Over TCP: CertificateNames.
  bool is_instance = false;                    // An instance's process, or it may be one.

  friend auto operator<=>(const Caller&, const Caller&) = default;

  // "user 1000", "certificate CN=ops". Whom a call counts for where callers have shares.
  std::string Name() const;
};

// Who is at the other end of the Unix socket `fd`, by the kernel, but for `is_instance`. Unset: it
// does not say.
std::optional<Caller> CallerOfSocket(int fd);

}  // namespace shadow
