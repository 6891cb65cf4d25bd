#include "server/api/api_server.h"

#include <sys/resource.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/access/access.h"
#include "server/api/listener.h"
#include "server/api/readers/reader_relay.h"
#include "server/api/role_server.h"
#include "server/api/tcp/tls_listener.h"
#include "server/log/log.h"

namespace shadow {
namespace {

constexpr size_t kAdminServersMax = 64;  // Also of users who were administrators once.
constexpr absl::Duration kRefusalInterval = absl::Minutes(1);

uint64_t DescriptorsMax() {
  rlimit files{};
  return getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 0;
}

class ApiServerImpl final : public ApiServer {
 public:
  ApiServerImpl(ApiContext& api, const Options& options)
      : api_(api),
        options_(options),
        readers_(api, access_, std::nullopt, reader_limits_),
        relay_(ReaderRelay::LimitsOf(DescriptorsMax()), access_, api.clock) {
    access_.SetGrants(options.grants);
  }

  absl::Status Start() {
    const absl::Status started = readers_.Start(options_.enable_reflection);
    if (!started.ok()) return started;
    // Others are started when they first call.
    if (const auto own = ServerOf({.uid = geteuid()}); !own.ok()) return own.status();
    if (const absl::Status listening = Listen(); !listening.ok()) return listening;
    return options_.tcp_address.empty() ? absl::OkStatus() : StartTcp();
  }

  ~ApiServerImpl() override { Shutdown(); }

  void SetServing(bool serving) override {
    readers_.SetServing(serving);
    const std::lock_guard lock(admins_mutex_);
    serving_ = serving;
    for (const auto& [caller, server] : admins_) server->SetServing(serving);
  }

  absl::Status Reload(const Grants& grants, const TlsFiles& tls) override {
    std::shared_ptr<const TlsContext> context;
    if (tcp_ != nullptr && tls != TlsFiles{}) {
      auto loaded = TlsContext::Load(tls);
      if (!loaded.ok()) return loaded.status();
      context = *std::move(loaded);
    }
    access_.SetGrants(grants);
    if (tcp_ == nullptr) return absl::OkStatus();
    tcp_->Reload(std::move(context),
                 [this](const Caller& caller) { return access_.RoleOf(caller) != Role::kNone; });
    return absl::OkStatus();
  }

  int tcp_port() const override { return tcp_ == nullptr ? 0 : tcp_->port(); }

  void Shutdown() override {
    listener_.reset();
    if (tcp_ != nullptr) tcp_->StopAccepting();
    api_.hub.Close();  // Watches never end by themselves.
    api_.simulations.Shutdown();
    api_.control.dna_checks().Refuse();
    const absl::Time deadline = api_.clock.Now().wall + kDrainTimeout;
    readers_.Shutdown(deadline);
    const std::lock_guard lock(admins_mutex_);
    for (const auto& [caller, server] : admins_) server->Shutdown(deadline);
  }

 private:
  absl::Status Listen() {
    Listener::IsAdmin is_admin = [this](int fd) {
      asked_ = {fd, CallerAt(fd)};
      return asked_.second.has_value() && access_.RoleOf(*asked_.second) == Role::kAdmin;
    };
    Listener::OnConnection adopt = [this](int fd) { Adopt(fd); };
    if (options_.inherited_fd >= 0) {
      listener_ = Listener::Inherit(options_.inherited_fd, std::move(is_admin), std::move(adopt));
      return absl::OkStatus();
    }
    auto listener = Listener::Open(options_.socket_path, std::move(is_admin), std::move(adopt));
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }

  absl::Status StartTcp() {
    auto context = TlsContext::Load(options_.tls);
    if (!context.ok()) return context.status();
    auto tcp = TlsListener::Open(
        options_.tcp_address, *std::move(context),
        [this](int fd, const Caller& caller) { AdoptReader(fd, caller); }, api_.clock);
    if (!tcp.ok()) return tcp.status();
    tcp_ = *std::move(tcp);
    return absl::OkStatus();
  }

  std::optional<Caller> CallerAt(int fd) const {
    std::optional<Caller> caller = CallerOfSocket(fd);
    if (!caller.has_value()) return caller;
    // To ask takes long, so those who may only read are not worth it.
    if (*caller->uid != geteuid() && access_.RoleOf(*caller) <= Role::kViewer) {
      caller->origin = CallerOrigin::kNotAsked;
    } else if (options_.is_instance(fd)) {
      caller->origin = CallerOrigin::kInstance;
    }
    return caller;
  }

  // kResourceExhausted: too many. It lives as long as this.
  absl::StatusOr<RoleServer*> ServerOf(Caller admin) {
    // One for a user, whatever groups its processes have, unless these make it an administrator.
    if (access_.RoleOf({.uid = admin.uid}) == Role::kAdmin) admin.gids.clear();
    const std::lock_guard lock(admins_mutex_);
    if (const auto found = admins_.find(admin); found != admins_.end()) return found->second.get();
    if (admins_.size() >= kAdminServersMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat(kAdminServersMax, " other administrators have called since the start"));
    }
    auto server = std::make_unique<RoleServer>(api_, access_, admin, admin_limits_);
    if (absl::Status started = server->Start(options_.enable_reflection); !started.ok()) {
      return started;
    }
    server->SetServing(serving_);
    return admins_.emplace(admin, std::move(server)).first->second.get();
  }

  void AdoptAdmin(int fd, const Caller& admin) {
    const auto server = ServerOf(admin);
    if (server.ok()) return (*server)->Adopt(fd);
    Refuse(fd, admin, std::string(server.status().message()));
  }

  // On the thread of either listener.
  void AdoptReader(int fd, const Caller& caller) {
    // Beyond the limits the connection is closed: that is all there is to say to a reader.
    if (const auto inner = relay_.Add(fd, caller); inner.ok()) readers_.Adopt(*inner);
  }

  void Adopt(int fd) {
    const std::pair<int, std::optional<Caller>> asked = std::exchange(asked_, {-1, {}});
    const std::optional<Caller> caller = asked.first == fd ? asked.second : CallerAt(fd);
    if (!caller.has_value()) {
      close(fd);
      return;
    }
    const Role role = access_.RoleOf(*caller);
    if (role == Role::kAdmin) return AdoptAdmin(fd, *caller);
    if (role != Role::kNone) return AdoptReader(fd, *caller);
    Refuse(fd, *caller, "it is of an instance, and no grant names its user or group");
  }

  // Of the Unix socket's thread.
  void Refuse(int fd, const Caller& caller, const std::string& why) {
    close(fd);
    const absl::Duration now = api_.clock.Now().mono;
    if (warned_at_.has_value() && now - *warned_at_ < kRefusalInterval) return;
    warned_at_ = now;
    Log(LogLevel::kWarning, {.uid = caller.uid, .kind = MessageKind::kConnectionClosed},
        absl::StrCat("a connection is closed: ", why));
  }

  ApiContext& api_;
  const Options options_;
  Access access_;
  // Of the Unix socket's thread, as what follows: a connection that it has asked about.
  std::pair<int, std::optional<Caller>> asked_ = {-1, {}};
  std::optional<absl::Duration> warned_at_;
  RoleLimits reader_limits_;
  RoleLimits admin_limits_;
  std::mutex admins_mutex_;  // Guards what follows.
  bool serving_ = false;
  std::map<Caller, std::unique_ptr<RoleServer>> admins_;  // None is removed.

  RoleServer readers_;
  ReaderRelay relay_;
  std::unique_ptr<TlsListener> tcp_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(ApiContext& api,
                                                            const Options& options) {
  auto server = std::make_unique<ApiServerImpl>(api, options);
  const absl::Status started = server->Start();
  if (!started.ok()) return started;
  return server;
}

}  // namespace shadow
