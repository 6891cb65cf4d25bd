#include "tests/demo/director/api.h"

#include <google/protobuf/util/time_util.h>

namespace shadow::demo {
namespace {

constexpr char kPool[] = "pools/web";
constexpr int kCallTimeoutSeconds = 5;
constexpr int kPageSize = 1000;  // More than this demonstration ever has.

absl::Status ToAbsl(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              const Request& request, bool wait_for_ready = false) {
  grpc::ClientContext context;
  context.set_wait_for_ready(wait_for_ready);
  context.set_deadline(gpr_time_from_seconds(kCallTimeoutSeconds, GPR_TIMESPAN));
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return ToAbsl(status);
  return response;
}

}  // namespace

Api::Api(const std::string& address) {
  grpc::ChannelArguments arguments;
  // A daemon that is just starting is looked for again soon.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  const std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  server_ = v1::ServerService::NewStub(channel);
  pools_ = v1::PoolService::NewStub(channel);
  shadows_ = v1::ShadowPoolService::NewStub(channel);
  usage_ = v1::UsageService::NewStub(channel);
  events_ = v1::EventService::NewStub(channel);
}

absl::StatusOr<v1::ServerStatus> Api::ServerStatus() {
  // A call that fails at once does not drive the channel's next attempt to connect, which then
  // takes seconds; one that waits does.
  return Call(*server_, &v1::ServerService::Stub::GetServerStatus, v1::GetServerStatusRequest(),
              true);
}

absl::StatusOr<v1::Pool> Api::GetPool() {
  v1::GetPoolRequest request;
  request.set_name(kPool);
  return Call(*pools_, &v1::PoolService::Stub::GetPool, request);
}

absl::StatusOr<std::vector<v1::ShadowPool>> Api::ListShadowPools() {
  v1::ListShadowPoolsRequest request;
  request.set_parent(kPool);
  request.set_page_size(kPageSize);
  const auto response = Call(*shadows_, &v1::ShadowPoolService::Stub::ListShadowPools, request);
  if (!response.ok()) return response.status();
  return std::vector<v1::ShadowPool>(response->shadow_pools().begin(),
                                     response->shadow_pools().end());
}

absl::StatusOr<std::vector<v1::Instance>> Api::ListInstances() {
  v1::ListInstancesRequest request;
  request.set_parent(kPool);
  request.set_page_size(kPageSize);
  const auto response = Call(*shadows_, &v1::ShadowPoolService::Stub::ListInstances, request);
  if (!response.ok()) return response.status();
  return std::vector<v1::Instance>(response->instances().begin(), response->instances().end());
}

absl::StatusOr<v1::Forecast> Api::GetForecast(int steps) {
  v1::GetForecastRequest request;
  request.set_pool(kPool);
  *request.mutable_horizon() = google::protobuf::util::TimeUtil::SecondsToDuration(steps);
  for (const double quantile : {0.05, 0.5, 0.95}) request.add_quantiles(quantile);
  return Call(*usage_, &v1::UsageService::Stub::GetForecast, request);
}

absl::Status Api::DeleteShadowPool(const std::string& name) {
  v1::DeleteShadowPoolRequest request;
  request.set_name(name);
  return Call(*shadows_, &v1::ShadowPoolService::Stub::DeleteShadowPool, request).status();
}

absl::Status Api::DeletePool() {
  v1::DeletePoolRequest request;
  request.set_name(kPool);
  return Call(*pools_, &v1::PoolService::Stub::DeletePool, request).status();
}

std::unique_ptr<grpc::ClientReader<v1::Event>> Api::Watch(grpc::ClientContext& context) {
  v1::WatchRequest request;
  request.set_name_prefix(kPool);
  return events_->Watch(&context, request);
}

}  // namespace shadow::demo
