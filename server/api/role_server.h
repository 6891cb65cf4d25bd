// A gRPC server for limited callers, or for one who is not.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/api/services.h"

namespace shadow {

// Those whose connections come through the ReaderRelay have one, so what they cost is bounded apart
// from the others. Each administrator on the Unix socket has one: of which user's connection a call
// came, gRPC does not say. Thread-safe.
class RoleServer {
 public:
  // What `api` refers to, `access` and `limits` must outlive this. `direct`: who makes all calls;
  // unset: those whose connections are in `access`. They replace what `api` says of its callers.
  RoleServer(const ApiContext& api, Access& access, std::optional<Caller> direct,
             RoleLimits& limits);

  // Begins to serve; health is NOT_SERVING. `reflection`: also describes its services.
  absl::Status Start(bool reflection);

  // Serves the connection `fd`, which it owns from then on. Between Start and Shutdown only: gRPC
  // leaks those that come before or after.
  void Adopt(int fd);

  void SetServing(bool serving);

  // No new calls; those under way are cancelled at `deadline`, wall clock. Blocks.
  void Shutdown(absl::Time deadline);

 private:
  ApiContext api_;
  Access& access_;
  RoleLimits& limits_;
  DnaServiceImpl dnas_{api_};
  PoolServiceImpl pools_{api_};
  ShadowPoolServiceImpl shadows_{api_};
  InstanceServiceImpl instances_{api_, limits_};
  UsageServiceImpl usage_{api_};
  EventServiceImpl events_{api_, limits_};
  SimulationServiceImpl simulations_{api_};
  BackupServiceImpl backups_{api_, limits_};
  ServerServiceImpl server_status_{api_};
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace shadow
