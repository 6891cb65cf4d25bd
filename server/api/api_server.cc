#include "server/api/api_server.h"

#include <unistd.h>

#include <mutex>
#include <utility>

#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/auth_metadata_processor.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "server/api/listener.h"

namespace shadow {
namespace {

using Acceptor = grpc::experimental::ExternalConnectionAcceptor;

constexpr int kReceiveMaxBytes = 4 << 20;
constexpr int kKeepaliveMillis = 60'000;

// Gives every call of a connection the role that its acceptor stands for.
class RoleProcessor final : public grpc::AuthMetadataProcessor {
 public:
  explicit RoleProcessor(const char* role) : role_(role) {}

  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& /*metadata*/, grpc::AuthContext* context,
                       OutputMetadata* /*consumed*/, OutputMetadata* /*response*/) override {
    context->AddProperty(kRoleProperty, role_);
    return grpc::Status::OK;
  }

 private:
  const char* role_;
};

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const char* role) {
  auto credentials = grpc::experimental::LocalServerCredentials(UDS);
  credentials->SetAuthMetadataProcessor(std::make_shared<RoleProcessor>(role));
  return credentials;
}

class ApiServerImpl final : public ApiServer {
 public:
  explicit ApiServerImpl(ApiContext& api)
      : dnas_(api),
        pools_(api),
        shadows_(api),
        usage_(api),
        events_(api),
        simulations_(api),
        server_status_(api),
        clock_(api.clock),
        hub_(api.hub) {}

  absl::Status Start(const Options& options) {
    grpc::EnableDefaultHealthCheckService(true);
    if (options.enable_reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kReceiveMaxBytes);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
    using Builder = grpc::ServerBuilder::experimental_type;
    constexpr auto kFromFd = Builder::ExternalConnectionType::FROM_FD;
    admin_ =
        builder.experimental().AddExternalConnectionAcceptor(kFromFd, CredentialsOf(kAdminRole));
    reader_ =
        builder.experimental().AddExternalConnectionAcceptor(kFromFd, CredentialsOf(kReaderRole));
    grpc::Service* const services[] = {&dnas_,   &pools_,       &shadows_,      &usage_,
                                       &events_, &simulations_, &server_status_};
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return absl::InternalError("the gRPC server could not be started");
    SetServing(false);
    // The acceptors leak connections that come before the start or after the shutdown of the
    // server.
    SetAdmins(options.admin_uids);
    auto listener = Listener::Open(options.socket_path, [this](int fd, uid_t uid) {
      Acceptor& acceptor = RoleNow(uid) == Role::kAdmin ? *admin_ : *reader_;
      Acceptor::NewConnectionParameters connection;
      connection.listener_fd = -1;
      connection.fd = fd;
      acceptor.HandleNewConnection(&connection);
    });
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }

  ~ApiServerImpl() override { Shutdown(); }

  void SetServing(bool serving) override {
    server_->GetHealthCheckService()->SetServingStatus(serving);
  }

  void SetAdmins(std::set<uid_t> admin_uids) override {
    const std::lock_guard lock(admins_mutex_);
    admins_ = std::move(admin_uids);
  }

  void Shutdown() override {
    listener_.reset();
    hub_.Close();  // Watches never end by themselves.
    simulations_.Shutdown();
    if (server_ == nullptr) return;
    server_->Shutdown(absl::ToChronoTime(clock_.Now().wall + kDrainTimeout));
    server_->Wait();
    server_.reset();
  }

 private:
  Role RoleNow(uid_t uid) {
    const std::lock_guard lock(admins_mutex_);
    return RoleOf(uid, admins_);
  }

  std::mutex admins_mutex_;
  std::set<uid_t> admins_;  // Under it.
  DnaServiceImpl dnas_;
  PoolServiceImpl pools_;
  ShadowPoolServiceImpl shadows_;
  UsageServiceImpl usage_;
  EventServiceImpl events_;
  SimulationServiceImpl simulations_;
  ServerServiceImpl server_status_;
  Clock& clock_;
  EventHub& hub_;
  std::unique_ptr<Acceptor> admin_;
  std::unique_ptr<Acceptor> reader_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(ApiContext& api,
                                                            const Options& options) {
  auto server = std::make_unique<ApiServerImpl>(api);
  const absl::Status started = server->Start(options);
  if (!started.ok()) return started;
  return server;
}

}  // namespace shadow
