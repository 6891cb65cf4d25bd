// The Unix socket: accepts, finds out who calls, hands the connection on.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace shadow {

// gRPC's own listener cannot tell the peer and dies after one EMFILE; this one survives it.
// Thread-safe.
class Listener {
 public:
  // Called on the listener's thread; owns `fd` from then on. `uid`: of the peer (SO_PEERCRED).
  using OnConnection = std::function<void(int fd, uid_t uid)>;

  // Binds `path`, mode 0660, replacing a socket that nobody serves any more: the caller holds the
  // StateLock. kInvalidArgument: the path is too long, or something other than a socket is there.
  // kAlreadyExists: another process serves it. Other errors as of socket(2).
  static absl::StatusOr<std::unique_ptr<Listener>> Open(const std::string& path,
                                                        OnConnection on_connection);

  // Stops accepting and removes the socket's file.
  ~Listener();

  Listener(int socket_fd, int stop_fd, std::string path, OnConnection on_connection);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  void Accept();

  const int socket_fd_;
  const int stop_fd_;  // An eventfd: readable means stop.
  const std::string path_;
  const OnConnection on_connection_;
  std::thread thread_;
};

}  // namespace shadow
