// The Unix socket: accepts, and hands the connection on.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

namespace shadow {

// gRPC's own listener cannot tell the peer and dies after one EMFILE; this one survives it. Where
// no descriptor is free, it accepts with one of its spares, and keeps only the connections of
// administrators. Thread-safe.
class Listener {
 public:
  // Descriptors that are held for the moment when there are no others. An administrator's
  // connection takes one; a gRPC server of this administrator's own takes none.
  static constexpr size_t kSpares = 8;

  // Both are called on the listener's thread, and may take one descriptor for a moment. Whether the
  // peer of `fd` is an administrator.
  using IsAdmin = std::function<bool(int fd)>;
  // Owns `fd` from then on.
  using OnConnection = std::function<void(int fd)>;

  // Binds `path`, mode 0660, replacing a socket that nobody serves any more: the caller holds the
  // StateLock. kInvalidArgument: the path is too long, or something other than a socket is there.
  // kAlreadyExists: another process serves it. Other errors as of socket(2).
  static absl::StatusOr<std::unique_ptr<Listener>> Open(const std::string& path, IsAdmin is_admin,
                                                        OnConnection on_connection);
  // Accepts from a socket of somebody else (TakeInheritedSocket): `socket_fd`, which it owns, is
  // closed in the end and otherwise left as it is.
  static std::unique_ptr<Listener> Inherit(int socket_fd, IsAdmin is_admin,
                                           OnConnection on_connection);

  // Stops accepting. Removes the socket's file, unless it was inherited.
  ~Listener();

  Listener(int socket_fd, int stop_fd, std::string path, IsAdmin is_admin,
           OnConnection on_connection);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  void Run();
  // False: it failed, and would at once again.
  bool Accept();
  // Whether a descriptor is free that is no spare.
  bool OneIsFree() const;
  // Takes back the spares that were spent, as far as descriptors are free. False: some are missing.
  bool RefillSpares();
  // Makes a descriptor free for the next call that takes one. False: no spare is left.
  bool SpendSpare();

  const int socket_fd_;
  const int stop_fd_;       // An eventfd: readable means stop.
  const std::string path_;  // Empty: the socket was inherited.
  const IsAdmin is_admin_;
  const OnConnection on_connection_;
  std::vector<int> spares_;  // The thread's own, once it runs.
  std::thread thread_;
};

}  // namespace shadow
