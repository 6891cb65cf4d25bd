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

// Where the process of a caller comes from.
enum class CallerOrigin {
  kElsewhere,  // It is no instance.
  kInstance,   // It is one, or it may be.
  kNotAsked,   // It is at most a viewer, whatever grants say later.
};

struct Caller {
  std::optional<uid_t> uid = {};               // Of the peer of a Unix socket; unset: over TCP.
  std::vector<gid_t> gids = {};                // Its groups, ascending.
  std::vector<std::string> certificates = {};  // Over TCP: CertificateNames.
  CallerOrigin origin = CallerOrigin::kElsewhere;

  friend auto operator<=>(const Caller&, const Caller&) = default;

  // "user 1000", "certificate CN=ops". Whom a call counts for where callers have shares.
  std::string Name() const;
};

// Who is at the other end of the Unix socket `fd`, by the kernel, but for `origin`. Unset: it
// does not say.
std::optional<Caller> CallerOfSocket(int fd);

}  // namespace shadow
