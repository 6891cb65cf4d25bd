#include "server/api/api_server.h"

#include <sys/resource.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/api/listener.h"
#include "server/api/readers/reader_relay.h"
#include "server/api/role_server.h"
#include "server/log/log.h"

namespace shadow {
namespace {

constexpr size_t kAdminServersMax = 64;  // Also of users who were administrators once.

uint64_t DescriptorsMax() {
  rlimit files{};
  return getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 0;
}

class ApiServerImpl final : public ApiServer {
 public:
  explicit ApiServerImpl(ApiContext& api)
      : api_(api),
        readers_(api, std::nullopt, reader_limits_),
        relay_(ReaderRelay::LimitsOf(DescriptorsMax()), api.clock) {}

  absl::Status Start(const Options& options) {
    enable_reflection_ = options.enable_reflection;
    const absl::Status started = readers_.Start(enable_reflection_);
    if (!started.ok()) return started;
    // Others are started when they first call.
    if (const auto own = ServerOf(geteuid()); !own.ok()) return own.status();
    SetAdmins(options.admin_uids);
    return Listen(options);
  }

  ~ApiServerImpl() override { Shutdown(); }

  void SetServing(bool serving) override {
    readers_.SetServing(serving);
    const std::lock_guard lock(admins_mutex_);
    serving_ = serving;
    for (const auto& [uid, server] : admins_) server->SetServing(serving);
  }

  void SetAdmins(std::set<uid_t> admin_uids) override {
    const std::lock_guard lock(admin_uids_mutex_);
    admin_uids_ = std::move(admin_uids);
  }

  void Shutdown() override {
    listener_.reset();
    api_.hub.Close();  // Watches never end by themselves.
    api_.simulations.Shutdown();
    api_.control.dna_checks().Refuse();
    const absl::Time deadline = api_.clock.Now().wall + kDrainTimeout;
    readers_.Shutdown(deadline);
    const std::lock_guard lock(admins_mutex_);
    for (const auto& [uid, server] : admins_) server->Shutdown(deadline);
  }

 private:
  absl::Status Listen(const Options& options) {
    Listener::IsAdmin is_admin = [this](uid_t uid) { return RoleNow(uid) == Role::kAdmin; };
    Listener::OnConnection adopt = [this](int fd, uid_t uid) { Adopt(fd, uid); };
    if (options.inherited_fd >= 0) {
      listener_ = Listener::Inherit(options.inherited_fd, std::move(is_admin), std::move(adopt));
      return absl::OkStatus();
    }
    auto listener = Listener::Open(options.socket_path, std::move(is_admin), std::move(adopt));
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }

  Role RoleNow(uid_t uid) {
    const std::lock_guard lock(admin_uids_mutex_);
    return RoleOf(uid, admin_uids_);
  }

  // kResourceExhausted: too many. It lives as long as this.
  absl::StatusOr<RoleServer*> ServerOf(uid_t admin) {
    const std::lock_guard lock(admins_mutex_);
    if (const auto found = admins_.find(admin); found != admins_.end()) return found->second.get();
    if (admins_.size() >= kAdminServersMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat(kAdminServersMax, " other administrators have called since the start"));
    }
    auto server = std::make_unique<RoleServer>(api_, admin, admin_limits_);
    if (absl::Status started = server->Start(enable_reflection_); !started.ok()) return started;
    server->SetServing(serving_);
    return admins_.emplace(admin, std::move(server)).first->second.get();
  }

  void AdoptAdmin(int fd, uid_t uid) {
    const auto server = ServerOf(uid);
    if (server.ok()) return (*server)->Adopt(fd);
    close(fd);
    Log(LogLevel::kWarning, {.uid = uid, .kind = MessageKind::kConnectionClosed},
        absl::StrCat("a connection is closed: ", server.status().message()));
  }

  void Adopt(int fd, uid_t uid) {
    if (RoleNow(uid) == Role::kAdmin) return AdoptAdmin(fd, uid);
    // Beyond the limits the connection is closed: that is all there is to say to a reader.
    if (const auto inner = relay_.Add(fd, uid); inner.ok()) readers_.Adopt(*inner);
  }

  std::mutex admin_uids_mutex_;
  std::set<uid_t> admin_uids_;  // Under it.
  ApiContext& api_;
  bool enable_reflection_ = false;
  RoleLimits reader_limits_;
  RoleLimits admin_limits_;
  std::mutex admins_mutex_;  // Guards what follows.
  bool serving_ = false;
  std::map<uid_t, std::unique_ptr<RoleServer>> admins_;  // By uid; none is removed.

  RoleServer readers_;
  ReaderRelay relay_;
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
