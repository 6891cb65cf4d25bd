// Socket activation: a listening socket that systemd has made, sd_listen_fds(3).
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace shadow {

struct InheritedSocket {
  int fd = -1;       // Owned; non-blocking, and closed on exec.
  std::string path;  // That it is bound to.
};

// Unset: none was passed to this process. kFailedPrecondition, with what was found: it must be one
// listening Unix stream socket, bound to a path. Must be called once, before other threads run: it
// takes LISTEN_FDS and the like out of the environment.
//
// The socket is systemd's too: nobody may shut it down or remove its path, so that clients that
// connect while no daemon runs wait for the next one.
absl::StatusOr<std::optional<InheritedSocket>> TakeInheritedSocket();

}  // namespace shadow
