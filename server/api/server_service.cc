#include <unistd.h>

#include <optional>

#include "server/api/services.h"
#include "server/core/time_proto.h"

namespace shadow {

grpc::ServerUnaryReactor* ServerServiceImpl::GetServerStatus(
    grpc::CallbackServerContext* context, const v1::GetServerStatusRequest* /*request*/,
    v1::ServerStatus* response) {
  return Reply(context, api_, "GetServerStatus", [&] {
    const auto snapshot = api_.control.snapshot();
    response->set_version(SHADOWD_VERSION);
    response->set_store_id(snapshot->store_id);
    *response->mutable_start_time() = ToProto(api_.start_time);
    response->set_revision(snapshot->revision);
    response->set_schema_version(Store::SchemaVersion());
    response->set_pools(static_cast<int>(snapshot->pools.size()));
    for (const auto& [name, pool] : snapshot->pools) {
      response->set_shadow_pools(response->shadow_pools() + static_cast<int>(pool->shadows.size()));
      response->set_instances(response->instances() + static_cast<int>(pool->instances.size()));
    }
    const ControlThread::TickTimes ticks = api_.control.tick_times();
    *response->mutable_last_tick_duration() = ToProto(ticks.last);
    *response->mutable_longest_tick_duration() = ToProto(ticks.longest);
    for (const v1::Condition& condition : snapshot->conditions) {
      *response->add_conditions() = condition;
    }
    // What is shown above is durable: of a store that does not get on only the store itself tells.
    if (const absl::Status stalled = api_.store.Stalled(); !stalled.ok()) {
      v1::Condition& writes = *response->add_conditions();
      writes.set_type("StoreWrites");
      writes.set_status(v1::Condition::FALSE);
      writes.set_reason(absl::IsResourceExhausted(stalled) ? "DiskFull" : "Failing");
      writes.set_message(std::string(stalled.message()));
      const std::optional<absl::Time> since = api_.store.StalledSince();
      if (since.has_value()) *writes.mutable_since_time() = ToProto(*since);
    }
    response->set_pid(static_cast<uint32_t>(getpid()));
    return absl::OkStatus();
  });
}

}  // namespace shadow
