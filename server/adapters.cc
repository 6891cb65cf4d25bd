// Also MakeAdapters (daemon.h): the one place that names concrete adapters.
#include "server/adapters.h"

#include <unistd.h>

#include <memory>
#include <utility>

#include "server/balancers/haproxy_balancer.h"
#include "server/balancers/service_balancer.h"
#include "server/config.h"
#include "server/core/names.h"
#include "server/core/time_proto.h"
#include "server/daemon.h"
#include "server/evaluation.h"
#include "server/providers/http_prober.h"
#include "server/providers/kubernetes/kubernetes_provider.h"
#include "server/providers/process_provider.h"
#include "server/providers/systemd/open_systemd.h"
#include "server/usage/cgroup_usage.h"
#include "server/usage/haproxy_usage.h"
#include "server/usage/pool_slice.h"
#include "server/usage/prometheus_usage.h"
#include "storage/room/room.h"
#include "storage/store.h"

namespace shadow {

absl::StatusOr<Provider*> Providers::Get(const CompiledProvider& provider) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Provider>& made = made_[provider.key];
  if (made == nullptr) {
    auto fresh = make_(provider.spec);
    if (!fresh.ok()) return fresh.status();
    made = *std::move(fresh);
    made->Listen([this](std::string_view id) { Tell(id); });
  }
  return made.get();
}

void Providers::Listen(std::function<void(std::string_view id)> hear) {
  const std::lock_guard lock(hear_mutex_);
  hear_ = std::move(hear);
}

void Providers::Tell(std::string_view id) {
  const std::lock_guard lock(hear_mutex_);
  if (hear_) hear_(id);
}

namespace {

// Null: its samples are pushed.
std::unique_ptr<UsageSource> MakeUsageSource(const v1::Pool& pool, const v1::UsageSource& spec,
                                             Clock& clock) {
  if (spec.has_haproxy()) return std::make_unique<HaproxyUsage>(spec.haproxy(), clock);
  if (spec.has_prometheus()) {
    return std::make_unique<PrometheusUsage>(spec.prometheus(), FromProto(pool.step()), clock);
  }
  if (spec.has_cgroup()) {
    const std::string& path = spec.cgroup().path();
    return std::make_unique<CgroupUsage>(
        spec.cgroup().metric(),
        path.empty() ? PoolSliceDirectory(pool, DaemonCgroup(), geteuid()) : path, clock);
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<Adapters> MakeAdapters(const Config& config, uint64_t open_files,
                                      const v1::StoreContents& contents, Store& store, Room& room,
                                      SimulationWorker& simulations, Clock& clock) {
  Adapters adapters;
  // Shared by what is made of it.
  const auto clusters = std::make_shared<Clusters>(contents.store_id(), EnvironmentVariable, clock);
  adapters.providers = std::make_unique<Providers>(
      [options = ProcessProvider::Options{.state_dir = config.state_dir,
                                          .store_id = contents.store_id(),
                                          .epoch = contents.epoch(),
                                          .log_max_bytes = config.instance_log_max_bytes,
                                          .open_files_soft = open_files,
                                          .make_room = [&room] { return room.ReleaseIfFull(); },
                                          .clock = clock},
       clusters](const v1::Provider& spec) -> absl::StatusOr<std::unique_ptr<Provider>> {
        if (spec.has_process()) return ProcessProvider::Open(options);
        if (spec.has_systemd()) {
          return OpenSystemdProvider({.state_dir = options.state_dir,
                                      .store_id = options.store_id,
                                      .epoch = options.epoch,
                                      .log_max_bytes = options.log_max_bytes,
                                      .clock = options.clock},
                                     spec.systemd());
        }
        if (spec.has_kubernetes()) {
          auto cluster = clusters->Get(*CompileProvider(spec));
          if (!cluster.ok()) return cluster.status();
          return std::make_unique<KubernetesProvider>(
              *std::move(cluster),
              KubernetesProvider::Options{.store_id = options.store_id, .epoch = options.epoch});
        }
        return absl::UnimplementedError("this kind of provider is not known");
      });
  if (const auto made = adapters.providers->Get(*DefaultProvider()); !made.ok()) {
    return made.status();
  }
  adapters.prober = std::make_unique<HttpProber>(clock);
  adapters.make_balancer = [&clock, clusters](const v1::Pool& pool) -> std::unique_ptr<Balancer> {
    const v1::Balancer& spec = pool.balancer();
    if (spec.has_haproxy()) return std::make_unique<HaproxyBalancer>(spec.haproxy(), clock);
    if (spec.has_service()) {
      return std::make_unique<ServiceBalancer>(clusters->Get(*CompileProvider(pool.provider())),
                                               LastId(pool.name()), spec.service());
    }
    return nullptr;
  };
  adapters.make_usage_source = [&clock](const v1::Pool& pool, const v1::UsageSource& spec) {
    return MakeUsageSource(pool, spec, clock);
  };
  adapters.score = [&](const v1::Pool& pool, const Adapters::Scored& done) {
    ScoreInBackground(store, simulations, clock, pool, done);
  };
  adapters.read_samples = [&store](const std::string& pool, absl::Time after, absl::Time until,
                                   absl::Duration coarsest, int64_t limit) {
    return store.ReadSamples(pool, after, until, coarsest, limit);
  };
  return adapters;
}

}  // namespace shadow
