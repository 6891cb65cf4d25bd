// The few calls that the demonstration makes of shadowd.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shadow/v1/event_service.grpc.pb.h"
#include "shadow/v1/pool_service.grpc.pb.h"
#include "shadow/v1/server_service.grpc.pb.h"
#include "shadow/v1/shadow_pool_service.grpc.pb.h"
#include "shadow/v1/usage_service.grpc.pb.h"

namespace shadow::demo {

// Of pool "web" of one daemon. Thread-safe. Every call has a deadline of 5 s; errors are those of
// the daemon (kUnavailable: it is not there).
class Api {
 public:
  // "unix:PATH". Connects on the first call.
  explicit Api(const std::string& address);

  absl::StatusOr<v1::ServerStatus> ServerStatus();  // Waits until the daemon is there.
  absl::StatusOr<v1::Pool> GetPool();
  absl::StatusOr<std::vector<v1::ShadowPool>> ListShadowPools();
  absl::StatusOr<std::vector<v1::Instance>> ListInstances();

  // The 0.05, 0.5 and 0.95 quantiles of the next `steps` steps.
  absl::StatusOr<v1::Forecast> GetForecast(int steps);

  absl::Status DeleteShadowPool(const std::string& name);
  absl::Status DeletePool();

  // Everything that happens to the pool from now on; ends when `context` is cancelled.
  std::unique_ptr<grpc::ClientReader<v1::Event>> Watch(grpc::ClientContext& context);

 private:
  std::unique_ptr<v1::ServerService::Stub> server_;
  std::unique_ptr<v1::PoolService::Stub> pools_;
  std::unique_ptr<v1::ShadowPoolService::Stub> shadows_;
  std::unique_ptr<v1::UsageService::Stub> usage_;
  std::unique_ptr<v1::EventService::Stub> events_;
};

}  // namespace shadow::demo
