#include "server/api/role_server.h"

#include <utility>
#include <vector>

#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "server/api/readers/unread_answers.h"
#include "server/api/unparsable.h"

namespace shadow {
namespace {

constexpr int kReceiveMaxBytes = 4 << 20;
constexpr int kKeepaliveMillis = 60'000;
constexpr int kHandshakeMillis = 5'000;
constexpr int kReaderIdleMillis = 300'000;
constexpr int kReaderStreamsMax = 64;  // Of one connection; at this limit a client waits.

}  // namespace

RoleServer::RoleServer(const ApiContext& api, Access& access, std::optional<Caller> direct,
                       RoleLimits& limits)
    : api_(api), access_(access), limits_(limits) {
  api_.access = &access;
  api_.direct = std::move(direct);
}

absl::Status RoleServer::Start(bool reflection) {
  grpc::EnableDefaultHealthCheckService(true);
  if (reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kReceiveMaxBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMillis);
  if (!api_.direct.has_value()) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kReaderIdleMillis);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kReaderStreamsMax);
  }
  // The kernel has said who calls, and nobody listens on a Unix socket.
  acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeUnparsableInterceptors());
  if (!api_.direct.has_value()) {
    interceptors.push_back(MakeAnswerInterceptors(limits_.unread_answers, access_));
  }
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  grpc::Service* const services[] = {&dnas_,   &pools_,       &shadows_, &instances_,    &usage_,
                                     &events_, &simulations_, &backups_, &server_status_};
  for (grpc::Service* service : services) builder.RegisterService(service);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return absl::InternalError("the gRPC server could not be started");
  SetServing(false);
  return absl::OkStatus();
}

void RoleServer::Adopt(int fd) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.listener_fd = -1;
  connection.fd = fd;
  acceptor_->HandleNewConnection(&connection);
}

void RoleServer::SetServing(bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(serving);
}

void RoleServer::Shutdown(absl::Time deadline) {
  if (server_ == nullptr) return;
  server_->Shutdown(absl::ToChronoTime(deadline));
  server_->Wait();
  server_.reset();
}

}  // namespace shadow
