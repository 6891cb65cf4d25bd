// shadowctl pool ... (but `pool analyze`, which is in demand.cc)
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/adopt/adopt.h"
#include "client/command.h"
#include "client/commands/documents.h"
#include "client/formats/table_of.h"
#include "client/names.h"
#include "client/output/columns.h"
#include "client/output/conditions.h"
#include "client/output/outcomes.h"
#include "client/proto_time.h"
#include "client/show.h"
#include "client/wait.h"

namespace shadow {
namespace {

using Stub = v1::PoolService::Stub;

// A row's demand and its failures cost a call each; in longer lists they are left out.
constexpr std::size_t kDemandPoolsMax = 50;
constexpr double kDemandStepsMost = 100;  // That are looked through for it.

// Instances and level of the shadow pools, by pool. Empty where they cannot be had.
std::map<std::string, std::string> ShadowTexts(Session& session, const std::string& parent) {
  std::map<std::string, std::string> texts;
  v1::ListShadowPoolsRequest request;
  request.set_parent(parent);
  const auto list =
      session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListShadowPools, request,
                        &v1::ListShadowPoolsResponse::mutable_shadow_pools, 0);
  if (!list.ok()) return texts;
  for (const v1::ShadowPool& shadow : list->shadow_pools()) {
    std::string& text = texts[PoolOf(shadow.name())];
    absl::StrAppend(&text, text.empty() ? "" : ", ", shadow.target_instances(), " @ ",
                    shadow.target_activation_level(), "%");
  }
  return texts;
}

// The last that is known of the steps that the planner would still go by; empty: none is.
std::string DemandText(Session& session, const v1::Pool& pool) {
  v1::GetForecastRequest request;
  request.set_pool(pool.name());
  *request.mutable_horizon() = pool.step();
  request.add_quantiles(0.5);
  const double steps = absl::FDivDuration(FromProto(pool.policy().usage_max_age()),
                                          std::max(FromProto(pool.step()), absl::Seconds(1)));
  request.set_history_steps(
      static_cast<int32_t>(std::clamp(std::ceil(steps), 1.0, kDemandStepsMost)));
  const absl::StatusOr<v1::Forecast> forecast =
      session.Call(session.usage(), &v1::UsageService::Stub::GetForecast, request);
  if (!forecast.ok() || forecast->history().empty()) return "";
  const double demand = forecast->history(forecast->history_size() - 1).value();
  return absl::StrCat(NumberText(demand), pool.demand_unit().empty() ? "" : " ",
                      pool.demand_unit());
}

// How many instances of the pool have failed, and why the last one did. Unset where that cannot be
// had.
void AddFailures(Session& session, PoolRow& row) {
  v1::ListInstancesRequest request;
  request.set_parent(row.pool.name());
  const auto list =
      session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListInstances, request,
                        &v1::ListInstancesResponse::mutable_instances, 0);
  if (!list.ok()) return;
  row.failed = 0;
  absl::Time newest = absl::InfinitePast();
  for (const v1::Instance& instance : list->instances()) {
    if (instance.state() != v1::Instance::FAILED) continue;
    ++*row.failed;
    if (FromProto(instance.state_time()) < newest) continue;
    newest = FromProto(instance.state_time());
    row.failure = instance.reason();
  }
}

std::string PoolTable(Session& session, const std::vector<v1::Pool>& pools) {
  const std::string parent = pools.size() == 1 ? pools.front().name() : "pools/-";
  std::map<std::string, std::string> shadows = ShadowTexts(session, parent);
  std::vector<PoolRow> rows;
  rows.reserve(pools.size());
  for (const v1::Pool& pool : pools) {
    PoolRow& row = rows.emplace_back();
    row.pool = pool;
    row.shadow = shadows[pool.name()];
    if (pools.size() > kDemandPoolsMax) continue;
    row.demand = DemandText(session, pool);
    AddFailures(session, row);
  }
  return TableOf(session, PoolColumns(), rows);
}

template <typename Request>
absl::Status SendPools(Session& session,
                       grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                    v1::Pool*),
                       const char* verb) {
  absl::StatusOr<std::vector<Manifest>> manifests = ReadManifests(session, ManifestKind::kPool);
  if (!manifests.ok()) return manifests.status();
  for (std::size_t i = 0; i < manifests->size(); ++i) {
    Request request;
    *request.mutable_pool() = std::get<v1::Pool>((*manifests)[i]);
    PrepareOneOf(session, i, manifests->size(), request);
    absl::StatusOr<v1::Pool> pool = session.Call(session.pools(), method, request);
    if (pool.ok() && session.arguments().wait && !session.arguments().dry_run) {
      pool = WaitForPool(session, request.pool().name());
    }
    if (!pool.ok()) return pool.status();
    session.Print(*pool, absl::StrCat(request.pool().name(), " ", verb, DryRunNote(session), "\n"));
  }
  return absl::OkStatus();
}

absl::Status Create(Session& session) { return SendPools(session, &Stub::CreatePool, "created"); }

absl::Status Update(Session& session) { return SendPools(session, &Stub::UpdatePool, "updated"); }

bool HasPool(const v1::Event& event) { return event.has_pool(); }
const v1::Pool& PoolOfEvent(const v1::Event& event) { return event.pool(); }

absl::Status Get(Session& session) {
  v1::GetPoolRequest request;
  request.set_name(FullPoolName(session.arguments().name));
  return Show(session,
              Shown<v1::Pool, v1::Pool>{
                  .name_prefix = request.name(),
                  .name = request.name(),
                  .in_event = HasPool,
                  .of_event = PoolOfEvent,
                  .fetch = [&] { return session.Call(session.pools(), &Stub::GetPool, request); },
                  .items = OnlyItem<v1::Pool>,
                  .table =
                      [&](const auto& pools) {
                        return PoolTable(session, pools) +
                               ConditionLines(pools.front().conditions(), session.console().now()) +
                               ScoreText(pools.front(), session.console().now());
                      }});
}

std::vector<v1::Pool> Items(const v1::ListPoolsResponse& response) {
  return {response.pools().begin(), response.pools().end()};
}

absl::Status List(Session& session) {
  return Show(session, Shown<v1::Pool, v1::ListPoolsResponse>{
                           .name_prefix = "",
                           .name = "",
                           .in_event = HasPool,
                           .of_event = PoolOfEvent,
                           .fetch =
                               [&] {
                                 return session.CallPages(session.pools(), &Stub::ListPools,
                                                          v1::ListPoolsRequest(),
                                                          &v1::ListPoolsResponse::mutable_pools, 0);
                               },
                           .items = Items,
                           .table = [&](const auto& pools) { return PoolTable(session, pools); }});
}

absl::Status Delete(Session& session) {
  v1::DeletePoolRequest request;
  request.set_name(FullPoolName(session.arguments().name));
  session.Prepare(request);
  const absl::StatusOr<v1::Pool> pool = session.Call(session.pools(), &Stub::DeletePool, request);
  if (!pool.ok()) return pool.status();
  const bool wait = session.arguments().wait && !session.arguments().dry_run;
  if (wait) {
    if (absl::Status gone = WaitUntilPoolGone(session, request.name()); !gone.ok()) return gone;
  }
  const char* verb = wait ? " deleted" : " is being deleted";
  session.Print(*pool, absl::StrCat(request.name(), verb, DryRunNote(session), "\n"));
  return absl::OkStatus();
}

constexpr std::array<Command, 6> kCommands = {{
    {"pool", "create", "", "Create the pools of a file", "pool create -f web-pool.yaml --wait",
     kTakesFile | kTakesMutation, Create},
    {"pool", "get", "NAME", "Show one pool", "pool get web --watch", kTakesWatch | kTakesShown,
     Get},
    {"pool", "list", "", "List the pools", "pool list", kTakesWatch | kTakesShown, List},
    {"pool", "update", "", "Replace the specs of the pools of a file",
     "pool update -f web-pool.yaml", kTakesFile | kTakesMutation, Update},
    {"pool", "delete", "NAME", "Delete a pool, its instances and suspended shadows",
     "pool delete web --wait", kTakesMutation, Delete},
    {"pool", "adopt", "DEPLOYMENT",
     "Print DNA and pool of a Deployment that runs on Kubernetes, for `apply -f`",
     "pool adopt deployment/web -f cluster.json > web.yaml", kTakesFile, AdoptPool},
}};

}  // namespace

std::span<const Command> PoolCommands() { return kCommands; }

}  // namespace shadow
