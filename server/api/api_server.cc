#include "server/api/api_server.h"

#include <sys/resource.h>
#include <unistd.h>

#include <mutex>
#include <set>
#include <utility>

#include "server/api/listener.h"
#include "server/api/readers/reader_relay.h"
#include "server/api/role_server.h"

namespace shadow {
namespace {

uint64_t DescriptorsMax() {
  rlimit files{};
  return getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 0;
}

class ApiServerImpl final : public ApiServer {
 public:
  explicit ApiServerImpl(ApiContext& api)
      : clock_(api.clock),
        hub_(api.hub),
        simulations_(api.simulations),
        admins_(api, Role::kAdmin),
        readers_(api, Role::kReader),
        relay_(ReaderRelay::LimitsOf(DescriptorsMax()), api.clock) {}

  absl::Status Start(const Options& options) {
    absl::Status started = admins_.Start(options.enable_reflection);
    if (started.ok()) started = readers_.Start(options.enable_reflection);
    if (!started.ok()) return started;
    SetAdmins(options.admin_uids);
    auto listener =
        Listener::Open(options.socket_path, [this](int fd, uid_t uid) { Adopt(fd, uid); });
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }

  ~ApiServerImpl() override { Shutdown(); }

  void SetServing(bool serving) override {
    admins_.SetServing(serving);
    readers_.SetServing(serving);
  }

  void SetAdmins(std::set<uid_t> admin_uids) override {
    const std::lock_guard lock(admin_uids_mutex_);
    admin_uids_ = std::move(admin_uids);
  }

  void Shutdown() override {
    listener_.reset();
    hub_.Close();  // Watches never end by themselves.
    simulations_.Shutdown();
    const absl::Time deadline = clock_.Now().wall + kDrainTimeout;
    readers_.Shutdown(deadline);
    admins_.Shutdown(deadline);
  }

 private:
  Role RoleNow(uid_t uid) {
    const std::lock_guard lock(admin_uids_mutex_);
    return RoleOf(uid, admin_uids_);
  }

  void Adopt(int fd, uid_t uid) {
    if (RoleNow(uid) == Role::kAdmin) return admins_.Adopt(fd);
    // Beyond the limits the connection is closed: that is all there is to say to a reader.
    if (const auto inner = relay_.Add(fd, uid); inner.ok()) readers_.Adopt(*inner);
  }

  std::mutex admin_uids_mutex_;
  std::set<uid_t> admin_uids_;  // Under it.
  Clock& clock_;
  EventHub& hub_;
  SimulationWorker& simulations_;
  RoleServer admins_;
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
