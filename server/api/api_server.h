// The gRPC server on its Unix socket.
#pragma once

#include <sys/types.h>

#include <memory>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "server/api/services.h"

namespace shadow {

class ApiServer {
 public:
  struct Options {
    std::string socket_path;
    int inherited_fd = -1;  // A socket that listens already, in place of socket_path; owned.
    std::set<uid_t> admin_uids;
    bool enable_reflection = false;
  };

  // Begins to serve; health is NOT_SERVING. `api` must outlive it. Errors: as Listener::Open.
  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(ApiContext& api, const Options& options);

  virtual ~ApiServer() = default;

  virtual void SetServing(bool serving) = 0;

  // Thread-safe. Of connections from now on: those that are open keep their role.
  virtual void SetAdmins(std::set<uid_t> admin_uids) = 0;

  // No new calls; those under way are cancelled after kDrainTimeout. Blocks.
  virtual void Shutdown() = 0;

  static constexpr absl::Duration kDrainTimeout = absl::Seconds(2);
};

}  // namespace shadow
