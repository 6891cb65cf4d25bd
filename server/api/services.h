// The gRPC services: translate, validate, authorise, post to the control thread. Reads are answered
// from its snapshot or the store.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "server/api/call.h"
#include "server/api/readers/unread_answers.h"
#include "server/core/names.h"
#include "shadow/v1/backup_service.grpc.pb.h"
#include "shadow/v1/dna_service.grpc.pb.h"
#include "shadow/v1/event_service.grpc.pb.h"
#include "shadow/v1/instance_service.grpc.pb.h"
#include "shadow/v1/pool_service.grpc.pb.h"
#include "shadow/v1/server_service.grpc.pb.h"
#include "shadow/v1/shadow_pool_service.grpc.pb.h"
#include "shadow/v1/simulation_service.grpc.pb.h"
#include "shadow/v1/usage_service.grpc.pb.h"

namespace shadow {

// How many watch, or read logs, so that it stays few. Thread-safe.
class WatcherSlots {
 public:
  static constexpr int kWatchersMax = 512;         // Of all limited callers, and of all others.
  static constexpr int kWatchersMaxOfCaller = 64;  // Of each limited one.
  static constexpr int kLogReadersMax = 32;        // The same of logs.
  static constexpr int kLogReadersMaxOfCaller = 8;

  struct Limits {
    int all;
    int of_caller;
    std::string_view reason;  // Of the error.
    std::string_view what;    // "watchers"
  };
  explicit WatcherSlots(const Limits& limits) : limits_(limits) {}

  // kResourceExhausted: a limit, which the message names. Give back what was taken.
  absl::Status Take(const std::string& caller, bool limited);
  void GiveBack(const std::string& caller);

 private:
  const Limits limits_;
  std::mutex mutex_;
  int taken_ = 0;
  std::map<std::string, int> by_caller_;
};

// What all limited callers share, or all others, whichever server they call. Outlives the services.
struct RoleLimits {
  WatcherSlots watchers{{.all = WatcherSlots::kWatchersMax,
                         .of_caller = WatcherSlots::kWatchersMaxOfCaller,
                         .reason = "TOO_MANY_WATCHERS",
                         .what = "watchers"}};
  WatcherSlots log_readers{{.all = WatcherSlots::kLogReadersMax,
                            .of_caller = WatcherSlots::kLogReadersMaxOfCaller,
                            .reason = "TOO_MANY_LOG_READERS",
                            .what = "readers of logs"}};
  UnreadAnswers unread_answers;                // Of limited callers.
  std::atomic<bool> backup_under_way = false;  // One at a time.
};

class DnaServiceImpl final : public v1::DnaService::CallbackService {
 public:
  explicit DnaServiceImpl(ApiContext& api) : api_(api) {}
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* CreateDna(Context*, const v1::CreateDnaRequest*, v1::Dna*) override;
  Reactor* GetDna(Context*, const v1::GetDnaRequest*, v1::Dna*) override;
  Reactor* ListDnas(Context*, const v1::ListDnasRequest*, v1::ListDnasResponse*) override;
  Reactor* UpdateDna(Context*, const v1::UpdateDnaRequest*, v1::Dna*) override;
  Reactor* DeleteDna(Context*, const v1::DeleteDnaRequest*, google::protobuf::Empty*) override;

 private:
  ApiContext& api_;
};

class PoolServiceImpl final : public v1::PoolService::CallbackService {
 public:
  explicit PoolServiceImpl(ApiContext& api) : api_(api) {}
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* CreatePool(Context*, const v1::CreatePoolRequest*, v1::Pool*) override;
  Reactor* GetPool(Context*, const v1::GetPoolRequest*, v1::Pool*) override;
  Reactor* ListPools(Context*, const v1::ListPoolsRequest*, v1::ListPoolsResponse*) override;
  Reactor* UpdatePool(Context*, const v1::UpdatePoolRequest*, v1::Pool*) override;
  Reactor* DeletePool(Context*, const v1::DeletePoolRequest*, v1::Pool*) override;

 private:
  ApiContext& api_;
};

class ShadowPoolServiceImpl final : public v1::ShadowPoolService::CallbackService {
 public:
  explicit ShadowPoolServiceImpl(ApiContext& api) : api_(api) {}
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* CreateShadowPool(Context*, const v1::CreateShadowPoolRequest*, v1::ShadowPool*) override;
  Reactor* GetShadowPool(Context*, const v1::GetShadowPoolRequest*, v1::ShadowPool*) override;
  Reactor* ListShadowPools(Context*, const v1::ListShadowPoolsRequest*,
                           v1::ListShadowPoolsResponse*) override;
  Reactor* UpdateShadowPool(Context*, const v1::UpdateShadowPoolRequest*, v1::ShadowPool*) override;
  Reactor* ActivateShadowPool(Context*, const v1::ActivateShadowPoolRequest*,
                              v1::ShadowPool*) override;
  Reactor* DeleteShadowPool(Context*, const v1::DeleteShadowPoolRequest*, v1::ShadowPool*) override;
  Reactor* ListInstances(Context*, const v1::ListInstancesRequest*,
                         v1::ListInstancesResponse*) override;
  Reactor* ReleaseHold(Context*, const v1::ReleaseHoldRequest*, v1::ReleaseHoldResponse*) override;

 private:
  ApiContext& api_;
};

class InstanceServiceImpl final : public v1::InstanceService::CallbackService {
 public:
  InstanceServiceImpl(ApiContext& api, RoleLimits& limits)
      : api_(api), slots_(limits.log_readers) {}
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* GetInstance(Context*, const v1::GetInstanceRequest*, v1::Instance*) override;
  Reactor* RestartInstance(Context*, const v1::RestartInstanceRequest*, v1::Instance*) override;
  Reactor* CordonInstance(Context*, const v1::CordonInstanceRequest*, v1::Instance*) override;
  Reactor* UncordonInstance(Context*, const v1::UncordonInstanceRequest*, v1::Instance*) override;
  grpc::ServerWriteReactor<v1::InstanceLogChunk>* StreamInstanceLog(
      Context*, const v1::StreamInstanceLogRequest*) override;

 private:
  ApiContext& api_;
  WatcherSlots& slots_;
};

// ReportUsage is raw: gRPC's own parser would take a message that it cannot parse for the end.
class UsageServiceImpl final : public v1::UsageService::WithRawCallbackMethod_ReportUsage<
                                   v1::UsageService::CallbackService> {
 public:
  explicit UsageServiceImpl(ApiContext& api) : api_(api) {}
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  grpc::ServerReadReactor<grpc::ByteBuffer>* ReportUsage(Context*, grpc::ByteBuffer*) override;
  Reactor* ReportUsageBatch(Context*, const v1::ReportUsageBatchRequest*,
                            v1::ReportUsageBatchResponse*) override;
  Reactor* AnalyzePoolUsage(Context*, const v1::AnalyzePoolUsageRequest*,
                            v1::AnalyzePoolUsageResponse*) override;
  Reactor* GetForecast(Context*, const v1::GetForecastRequest*, v1::Forecast*) override;
  Reactor* ListDecisions(Context*, const v1::ListDecisionsRequest*,
                         v1::ListDecisionsResponse*) override;

 private:
  ApiContext& api_;
};

// Watch is raw: all watchers send the same bytes of an event.
class EventServiceImpl final
    : public v1::EventService::WithRawCallbackMethod_Watch<v1::EventService::CallbackService> {
 public:
  EventServiceImpl(ApiContext& api, RoleLimits& limits)
      : api_(api), slots_(limits.watchers), unread_answers_(limits.unread_answers) {}
  using Context = grpc::CallbackServerContext;
  grpc::ServerUnaryReactor* ListEvents(Context*, const v1::ListEventsRequest*,
                                       v1::ListEventsResponse*) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Watch(Context*, const grpc::ByteBuffer*) override;

 private:
  ApiContext& api_;
  WatcherSlots& slots_;
  UnreadAnswers& unread_answers_;
};

// Simulate is raw: its large requests are parsed one at a time, by the worker.
class SimulationServiceImpl final : public v1::SimulationService::WithRawCallbackMethod_Simulate<
                                        v1::SimulationService::CallbackService> {
 public:
  explicit SimulationServiceImpl(ApiContext& api) : api_(api) {}
  grpc::ServerUnaryReactor* Simulate(grpc::CallbackServerContext*, const grpc::ByteBuffer*,
                                     grpc::ByteBuffer*) override;
  grpc::ServerUnaryReactor* EvaluatePool(grpc::CallbackServerContext*,
                                         const v1::EvaluatePoolRequest*,
                                         v1::EvaluatePoolResponse*) override;

 private:
  ApiContext& api_;
};

class BackupServiceImpl final : public v1::BackupService::CallbackService {
 public:
  BackupServiceImpl(ApiContext& api, RoleLimits& limits)
      : api_(api), under_way_(limits.backup_under_way) {}
  using Context = grpc::CallbackServerContext;
  grpc::ServerWriteReactor<v1::BackupChunk>* CreateBackup(Context*,
                                                          const v1::CreateBackupRequest*) override;

 private:
  ApiContext& api_;
  std::atomic<bool>& under_way_;
};

class ServerServiceImpl final : public v1::ServerService::CallbackService {
 public:
  explicit ServerServiceImpl(ApiContext& api) : api_(api) {}
  grpc::ServerUnaryReactor* GetServerStatus(grpc::CallbackServerContext*,
                                            const v1::GetServerStatusRequest*,
                                            v1::ServerStatus*) override;

 private:
  ApiContext& api_;
};

}  // namespace shadow
