#include "tests/client/fake_daemon.h"

#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "shadow/v1/dna_service.grpc.pb.h"
#include "shadow/v1/event_service.grpc.pb.h"
#include "shadow/v1/pool_service.grpc.pb.h"
#include "shadow/v1/server_service.grpc.pb.h"
#include "shadow/v1/shadow_pool_service.grpc.pb.h"
#include "shadow/v1/simulation_service.grpc.pb.h"
#include "shadow/v1/usage_service.grpc.pb.h"
#include "tests/client/fake_calls.h"
#include "tests/client/instances/fake_instances.h"

namespace shadow {
namespace {

using grpc::ServerContext;
using grpc::Status;

class FakeDnas final : public v1::DnaService::Service {
 public:
  explicit FakeDnas(DaemonState& state) : state_(state) {}

  Status CreateDna(ServerContext*, const v1::CreateDnaRequest* request, v1::Dna* dna) override {
    if (Status s = BeginMutation(state_, "CreateDna", *request); !s.ok()) return s;
    return Store(request->dna(), dna, request->validate_only());
  }
  Status GetDna(ServerContext*, const v1::GetDnaRequest* request, v1::Dna* dna) override {
    if (Status s = Begin(state_, "GetDna"); !s.ok()) return s;
    return Find(state_.dnas, request->name(), dna);
  }
  Status ListDnas(ServerContext*, const v1::ListDnasRequest* request,
                  v1::ListDnasResponse* response) override {
    if (Status s = Begin(state_, "ListDnas"); !s.ok()) return s;
    response->set_next_page_token(
        Page(state_.dnas, request->page_token(), state_.page_size,
             [&](const auto& entry) { *response->add_dnas() = entry.second; }));
    return Status::OK;
  }
  Status UpdateDna(ServerContext*, const v1::UpdateDnaRequest* request, v1::Dna* dna) override {
    if (Status s = BeginMutation(state_, "UpdateDna", *request); !s.ok()) return s;
    if (!request->allow_missing() && !state_.dnas.contains(request->dna().name())) {
      return Missing(request->dna().name());
    }
    return Store(request->dna(), dna, request->validate_only());
  }
  Status DeleteDna(ServerContext*, const v1::DeleteDnaRequest* request,
                   google::protobuf::Empty*) override {
    if (Status s = BeginMutation(state_, "DeleteDna", *request); !s.ok()) return s;
    return state_.dnas.erase(request->name()) == 1 ? Status::OK : Missing(request->name());
  }

 private:
  // The revision is the length of the command line: the same content is no change.
  Status Store(const v1::Dna& given, v1::Dna* dna, bool validate_only) {
    *dna = given;
    dna->set_revision(absl::StrCat("00000000000", given.process().argv_size()));
    dna->set_etag(dna->revision());
    if (!validate_only) state_.dnas[given.name()] = *dna;
    return Status::OK;
  }

  DaemonState& state_;
};

class FakePools final : public v1::PoolService::Service {
 public:
  explicit FakePools(DaemonState& state) : state_(state) {}

  Status CreatePool(ServerContext*, const v1::CreatePoolRequest* request, v1::Pool* pool) override {
    if (Status s = BeginMutation(state_, "CreatePool", *request); !s.ok()) return s;
    return Store(request->pool(), pool, request->validate_only());
  }
  Status GetPool(ServerContext*, const v1::GetPoolRequest* request, v1::Pool* pool) override {
    if (Status s = Begin(state_, "GetPool"); !s.ok()) return s;
    const auto it = state_.pools.find(request->name());
    if (it == state_.pools.end()) return Missing(request->name());
    if (state_.gets_until_settled > 0 && --state_.gets_until_settled == 0) {
      it->second.set_reconciling(false);
      if (it->second.state() == v1::Pool::DELETING) state_.pools.erase(it);
    }
    return Find(state_.pools, request->name(), pool);
  }
  Status ListPools(ServerContext*, const v1::ListPoolsRequest* request,
                   v1::ListPoolsResponse* response) override {
    if (Status s = Begin(state_, "ListPools"); !s.ok()) return s;
    response->set_next_page_token(
        Page(state_.pools, request->page_token(), state_.page_size,
             [&](const auto& entry) { *response->add_pools() = entry.second; }));
    return Status::OK;
  }
  Status UpdatePool(ServerContext*, const v1::UpdatePoolRequest* request, v1::Pool* pool) override {
    state_.update_pool = *request;
    if (Status s = BeginMutation(state_, "UpdatePool", *request); !s.ok()) return s;
    if (!request->allow_missing() && !state_.pools.contains(request->pool().name())) {
      return Missing(request->pool().name());
    }
    return Store(request->pool(), pool, request->validate_only());
  }
  Status DeletePool(ServerContext*, const v1::DeletePoolRequest* request, v1::Pool* pool) override {
    if (Status s = BeginMutation(state_, "DeletePool", *request); !s.ok()) return s;
    const auto it = state_.pools.find(request->name());
    if (it == state_.pools.end()) return Missing(request->name());
    it->second.set_state(v1::Pool::DELETING);
    *pool = it->second;
    return Status::OK;
  }

 private:
  Status Store(const v1::Pool& given, v1::Pool* pool, bool validate_only) {
    if (state_.dnas_must_be_there && !state_.dnas.contains(given.dna())) {
      return ToStatus({.code = grpc::StatusCode::NOT_FOUND,
                       .message = "pool.dna: " + given.dna() + " does not exist",
                       .field = "pool.dna",
                       .reason = ""});
    }
    *pool = given;
    pool->set_state(v1::Pool::READY);
    pool->set_reconciling(state_.gets_until_settled > 0);
    pool->set_etag(absl::StrCat("etag ", given.managed_instances()));
    if (!validate_only) state_.pools[given.name()] = *pool;
    return Status::OK;
  }

  DaemonState& state_;
};

class FakeShadows final : public v1::ShadowPoolService::Service {
 public:
  explicit FakeShadows(DaemonState& state) : state_(state) {}

  Status CreateShadowPool(ServerContext*, const v1::CreateShadowPoolRequest* request,
                          v1::ShadowPool* shadow) override {
    state_.create_shadow = *request;
    if (Status s = BeginMutation(state_, "CreateShadowPool", *request); !s.ok()) return s;
    shadow->set_name(request->pool() + "/shadowPools/r1");
    shadow->set_state(v1::ShadowPool::CREATING);
    shadow->set_target_instances(3);
    state_.shadows[shadow->name()] = *shadow;
    return Status::OK;
  }
  Status GetShadowPool(ServerContext*, const v1::GetShadowPoolRequest* request,
                       v1::ShadowPool* shadow) override {
    if (Status s = Begin(state_, "GetShadowPool"); !s.ok()) return s;
    const auto it = state_.shadows.find(request->name());
    if (it != state_.shadows.end() && state_.gets_until_settled > 0 &&
        --state_.gets_until_settled == 0) {
      if (it->second.state() == v1::ShadowPool::DELETING) {
        state_.shadows.erase(it);
      } else if (it->second.state() != v1::ShadowPool::FAILED) {
        it->second.set_state(v1::ShadowPool::SUSPENDED);
      }
    }
    return Find(state_.shadows, request->name(), shadow);
  }
  Status ListShadowPools(ServerContext*, const v1::ListShadowPoolsRequest* request,
                         v1::ListShadowPoolsResponse* response) override {
    if (Status s = Begin(state_, "ListShadowPools"); !s.ok()) return s;
    std::vector<v1::ShadowPool> all;
    for (const auto& [name, shadow] : state_.shadows) {
      const bool wanted = request->parent() == "pools/-" || name.starts_with(request->parent());
      if (wanted) all.push_back(shadow);
    }
    response->set_next_page_token(
        Page(all, request->page_token(), state_.page_size,
             [&](const v1::ShadowPool& shadow) { *response->add_shadow_pools() = shadow; }));
    return Status::OK;
  }
  Status UpdateShadowPool(ServerContext*, const v1::UpdateShadowPoolRequest* request,
                          v1::ShadowPool* shadow) override {
    if (Status s = BeginMutation(state_, "UpdateShadowPool", *request); !s.ok()) return s;
    const auto it = state_.shadows.find(request->shadow_pool().name());
    if (it == state_.shadows.end()) return Missing(request->shadow_pool().name());
    it->second.set_target_instances(request->shadow_pool().target_instances());
    *shadow = it->second;
    return Status::OK;
  }
  Status ActivateShadowPool(ServerContext*, const v1::ActivateShadowPoolRequest* request,
                            v1::ShadowPool* shadow) override {
    state_.activate = *request;
    if (Status s = BeginMutation(state_, "ActivateShadowPool", *request); !s.ok()) return s;
    const auto it = state_.shadows.find(request->name());
    if (it == state_.shadows.end()) return Missing(request->name());
    it->second.set_target_activation_level(request->activation_level());
    *shadow = it->second;
    return Status::OK;
  }
  Status DeleteShadowPool(ServerContext*, const v1::DeleteShadowPoolRequest* request,
                          v1::ShadowPool* shadow) override {
    if (Status s = BeginMutation(state_, "DeleteShadowPool", *request); !s.ok()) return s;
    const auto it = state_.shadows.find(request->name());
    if (it == state_.shadows.end()) return Missing(request->name());
    it->second.set_state(v1::ShadowPool::DELETING);
    *shadow = it->second;
    return Status::OK;
  }
  Status ListInstances(ServerContext*, const v1::ListInstancesRequest* request,
                       v1::ListInstancesResponse* response) override {
    if (Status s = Begin(state_, "ListInstances " + request->parent()); !s.ok()) return s;
    response->mutable_instances()->Add(state_.instances.begin(), state_.instances.end());
    state_.instances.insert(state_.instances.end(), state_.instances_later.begin(),
                            state_.instances_later.end());
    state_.instances_later.clear();
    return Status::OK;
  }
  Status ReleaseHold(ServerContext*, const v1::ReleaseHoldRequest* request,
                     v1::ReleaseHoldResponse*) override {
    return BeginMutation(state_, "ReleaseHold " + request->name(), *request);
  }

 private:
  DaemonState& state_;
};

class FakeUsage final : public v1::UsageService::Service {
 public:
  explicit FakeUsage(DaemonState& state) : state_(state) {}

  Status ReportUsageBatch(ServerContext*, const v1::ReportUsageBatchRequest* request,
                          v1::ReportUsageBatchResponse* response) override {
    state_.batch = *request;
    state_.batch_sizes.push_back(request->samples_size());
    if (Status s = BeginMutation(state_, "ReportUsageBatch", *request); !s.ok()) return s;
    response->set_accepted_samples(request->samples_size());
    return Status::OK;
  }
  Status AnalyzePoolUsage(ServerContext*, const v1::AnalyzePoolUsageRequest* request,
                          v1::AnalyzePoolUsageResponse* response) override {
    const char* dry = request->validate_only() ? " dry" : "";
    if (Status s = Begin(state_, absl::StrCat("AnalyzePoolUsage", dry)); !s.ok()) return s;
    if (!state_.decisions.empty()) *response->mutable_decision() = state_.decisions.front();
    response->set_deviation(0.25);
    return Status::OK;
  }
  Status GetForecast(ServerContext*, const v1::GetForecastRequest* request,
                     v1::Forecast* forecast) override {
    state_.get_forecast = *request;
    if (Status s = Begin(state_, "GetForecast"); !s.ok()) return s;
    *forecast = state_.forecast;
    return Status::OK;
  }
  Status ListDecisions(ServerContext*, const v1::ListDecisionsRequest* request,
                       v1::ListDecisionsResponse* response) override {
    if (Status s = Begin(state_, "ListDecisions " + request->pool()); !s.ok()) return s;
    response->set_next_page_token(
        Page(state_.decisions, request->page_token(), state_.page_size,
             [&](const v1::Decision& decision) { *response->add_decisions() = decision; }));
    return Status::OK;
  }

 private:
  DaemonState& state_;
};

class FakeEvents final : public v1::EventService::Service {
 public:
  explicit FakeEvents(DaemonState& state) : state_(state) {}

  Status ListEvents(ServerContext*, const v1::ListEventsRequest* request,
                    v1::ListEventsResponse* response) override {
    if (Status s = Begin(state_, "ListEvents " + request->name_prefix()); !s.ok()) return s;
    std::vector<v1::Event> wanted;
    for (const v1::Event& event : state_.events) {
      if (event.revision() > request->since_revision()) wanted.push_back(event);
    }
    response->set_next_page_token(
        Page(wanted, request->page_token(), state_.page_size,
             [&](const v1::Event& event) { *response->add_events() = event; }));
    return Status::OK;
  }
  // All that is scripted, `page_size` at a time while there are errors to break off with.
  Status Watch(ServerContext*, const v1::WatchRequest* request,
               grpc::ServerWriter<v1::Event>* writer) override {
    state_.watches.push_back(*request);
    int written = 0;
    for (const v1::Event& event : state_.events) {
      if (event.revision() <= request->since_revision()) continue;
      if (!state_.watch_errors.empty() && written == state_.page_size) break;
      if (event.has_shadow_pool()) Follow(event);
      writer->Write(event);
      ++written;
    }
    if (state_.watch_errors.empty()) return Status::OK;
    const Status status = ToStatus(state_.watch_errors.front());
    state_.watch_errors.pop_front();
    return status;
  }

 private:
  void Follow(const v1::Event& event) {
    if (event.kind() == v1::Event::DELETED) {
      state_.shadows.erase(event.name());
    } else {
      state_.shadows[event.name()] = event.shadow_pool();
    }
  }

  DaemonState& state_;
};

class FakeSimulations final : public v1::SimulationService::Service {
 public:
  explicit FakeSimulations(DaemonState& state) : state_(state) {}

  Status Simulate(ServerContext*, const v1::SimulateRequest* request,
                  v1::SimulateResponse* response) override {
    state_.simulate = *request;
    *response = state_.simulation;
    return Begin(state_, "Simulate");
  }
  Status EvaluatePool(ServerContext*, const v1::EvaluatePoolRequest* request,
                      v1::EvaluatePoolResponse* response) override {
    state_.evaluate = *request;
    *response = state_.evaluation;
    return Begin(state_, "EvaluatePool");
  }

 private:
  DaemonState& state_;
};

class FakeServer final : public v1::ServerService::Service {
 public:
  explicit FakeServer(DaemonState& state) : state_(state) {}

  Status GetServerStatus(ServerContext*, const v1::GetServerStatusRequest*,
                         v1::ServerStatus* status) override {
    if (Status s = Begin(state_, "GetServerStatus"); !s.ok()) return s;
    status->set_version("1.2.3");
    status->set_store_id("store");
    status->set_revision(state_.revision);
    status->set_pools(static_cast<int>(state_.pools.size()));
    status->set_pid(4711);
    return Status::OK;
  }

 private:
  DaemonState& state_;
};

}  // namespace

struct FakeDaemon::Server {
  explicit Server(DaemonState& state)
      : dnas(state),
        pools(state),
        shadows(state),
        instances(state),
        usage(state),
        events(state),
        simulations(state),
        server(state) {}

  FakeDnas dnas;
  FakePools pools;
  FakeShadows shadows;
  FakeInstances instances;
  FakeUsage usage;
  FakeEvents events;
  FakeSimulations simulations;
  FakeServer server;
  std::unique_ptr<grpc::Server> grpc;
};

FakeDaemon::FakeDaemon() {
  std::string path = (std::filesystem::temp_directory_path() / "shadowctl-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary directory");
  directory_ = path;
  address_ = "unix:" + path + "/s";
  server_ = std::make_unique<Server>(state);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
  for (grpc::Service* service : std::initializer_list<grpc::Service*>{
           &server_->dnas, &server_->pools, &server_->shadows, &server_->instances, &server_->usage,
           &server_->events, &server_->simulations, &server_->server}) {
    builder.RegisterService(service);
  }
  server_->grpc = builder.BuildAndStart();
  if (server_->grpc == nullptr) throw std::runtime_error("cannot listen on " + address_);
}

FakeDaemon::~FakeDaemon() {
  server_->grpc->Shutdown();
  std::filesystem::remove_all(directory_);
}

}  // namespace shadow
