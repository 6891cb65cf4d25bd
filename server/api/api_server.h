// The gRPC server on its Unix socket and, if it is asked to, on a TCP port.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/api/access/grants.h"
#include "server/api/services.h"
#include "server/api/tcp/tls_files.h"

namespace shadow {

class ApiServer {
 public:
  struct Options {
    std::string socket_path;
    int inherited_fd = -1;  // A socket that listens already, in place of socket_path; owned.
    Grants grants = {};
    std::string tcp_address = {};  // Empty: no TCP.
    TlsFiles tls = {};             // For it.
    bool enable_reflection = false;
    // Whether the peer of the Unix socket `fd` is an instance, or may be one. Asked about this
    // process's own user, and about those who may do more than a viewer.
    std::function<bool(int fd)> is_instance = [](int) { return false; };
  };

  // Begins to serve; health is NOT_SERVING. `api` must outlive it. Errors: as Listener::Open,
  // TlsContext::Load and TlsListener::Open.
  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(ApiContext& api, const Options& options);

  virtual ~ApiServer() = default;

  virtual void SetServing(bool serving) = 0;

  // Thread-safe. Reads the files `tls` again, if there are any and it serves TCP; then `grants`
  // count for the next call, and for the next connection of those whom they raise from a viewer on
  // the Unix socket. Closes the TCP connections of those who have no role any
  // more. An error, as of TlsContext::Load, changes nothing.
  virtual absl::Status Reload(const Grants& grants, const TlsFiles& tls) = 0;

  // The port on TCP; 0: none.
  virtual int tcp_port() const = 0;

  // No new calls; those under way are cancelled after kDrainTimeout. Blocks.
  virtual void Shutdown() = 0;

  static constexpr absl::Duration kDrainTimeout = absl::Seconds(2);
};

}  // namespace shadow
