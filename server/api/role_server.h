// A gRPC server for the callers of one role.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/api/services.h"

namespace shadow {

// Each role has its own, so what one costs is bounded apart from the other. Thread-safe.
class RoleServer {
 public:
  // What `api` refers to must outlive this; `role` replaces its role.
  RoleServer(const ApiContext& api, Role role);

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
  DnaServiceImpl dnas_{api_};
  PoolServiceImpl pools_{api_};
  ShadowPoolServiceImpl shadows_{api_};
  UsageServiceImpl usage_{api_};
  EventServiceImpl events_{api_};
  SimulationServiceImpl simulations_{api_};
  BackupServiceImpl backups_{api_};
  ServerServiceImpl server_status_{api_};
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace shadow
