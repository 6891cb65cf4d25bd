// shadowctl shadow ...
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands/documents.h"
#include "client/formats/table_of.h"
#include "client/names.h"
#include "client/output/columns.h"
#include "client/proto_time.h"
#include "client/show.h"
#include "client/wait.h"

namespace shadow {
namespace {

using Stub = v1::ShadowPoolService::Stub;

// "pools/web/shadowPools/x is ACTIVATING: 3 shadow instances, level 50%, held until ..."
std::string Sentence(const v1::ShadowPool& shadow) {
  std::string text =
      absl::StrCat(shadow.name(), " is ", v1::ShadowPool::State_Name(shadow.state()), ": ",
                   CountText(shadow.target_instances(), "shadow instance"), ", level ",
                   shadow.target_activation_level(), "%, ", shadow.serving_instances(), " serving");
  if (shadow.has_hold_until_time()) {
    absl::StrAppend(&text, ", held until ", TimeText(FromProto(shadow.hold_until_time())));
  }
  return text;
}

// Sets hold_duration of `request` if --hold is given: unset and 0 differ.
template <typename Request>
absl::Status SetHold(const Session& session, Request& request) {
  const std::string& hold = session.arguments().hold;
  if (hold.empty()) return absl::OkStatus();
  const absl::StatusOr<absl::Duration> duration = ParseDurationFlag(hold, "--hold");
  if (!duration.ok()) return duration.status();
  *request.mutable_hold_duration() = ToProto(*duration);
  return absl::OkStatus();
}

// Sends a mutation, waits for it with --wait, and prints what it is then.
template <typename Request>
absl::Status Mutate(Session& session,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                 v1::ShadowPool*),
                    Request& request) {
  session.Prepare(request);
  if (absl::Status hold = SetHold(session, request); !hold.ok()) return hold;
  absl::StatusOr<v1::ShadowPool> shadow = session.Call(session.shadows(), method, request);
  if (shadow.ok() && session.arguments().wait && !session.arguments().dry_run) {
    shadow = WaitForShadow(session, shadow->name());
  }
  if (!shadow.ok()) return shadow.status();
  session.Print(*shadow, absl::StrCat(Sentence(*shadow), DryRunNote(session), "\n"));
  return absl::OkStatus();
}

absl::Status Create(Session& session) {
  v1::CreateShadowPoolRequest request;
  request.set_pool(FullPoolName(session.arguments().name));
  request.set_predicted_demand_increase(session.arguments().increase);
  return Mutate(session, &Stub::CreateShadowPool, request);
}

absl::Status Activate(Session& session) {
  const absl::StatusOr<std::string> name = session.ResolveShadow(session.arguments().name);
  if (!name.ok()) return name.status();
  v1::ActivateShadowPoolRequest request;
  request.set_name(*name);
  request.set_activation_level(session.arguments().level);
  return Mutate(session, &Stub::ActivateShadowPool, request);
}

absl::Status Resize(Session& session) {
  const absl::StatusOr<std::string> name = session.ResolveShadow(session.arguments().name);
  if (!name.ok()) return name.status();
  v1::UpdateShadowPoolRequest request;
  request.mutable_shadow_pool()->set_name(*name);
  request.mutable_shadow_pool()->set_target_instances(session.arguments().instances);
  return Mutate(session, &Stub::UpdateShadowPool, request);
}

absl::Status Delete(Session& session) {
  const absl::StatusOr<std::string> name = session.ResolveShadow(session.arguments().name);
  if (!name.ok()) return name.status();
  v1::DeleteShadowPoolRequest request;
  request.set_name(*name);
  session.Prepare(request);
  if (absl::Status hold = SetHold(session, request); !hold.ok()) return hold;
  const auto shadow = session.Call(session.shadows(), &Stub::DeleteShadowPool, request);
  if (!shadow.ok()) return shadow.status();
  const bool wait = session.arguments().wait && !session.arguments().dry_run;
  if (wait) {
    if (absl::Status gone = WaitUntilShadowGone(session, *name); !gone.ok()) return gone;
  }
  const char* verb = wait ? " deleted" : " is being deleted";
  session.Print(*shadow, absl::StrCat(*name, verb, DryRunNote(session), "\n"));
  return absl::OkStatus();
}

absl::Status Release(Session& session) {
  v1::ReleaseHoldRequest request;
  absl::StatusOr<std::string> name = session.ResolveShadow(session.arguments().name);
  // After a held delete there is no shadow pool, and the hold is the pool's.
  if (absl::IsNotFound(name.status())) name = FullPoolName(session.arguments().name);
  if (!name.ok()) return name.status();
  request.set_name(*name);
  session.Prepare(request);
  const auto released = session.Call(session.shadows(), &Stub::ReleaseHold, request);
  if (!released.ok()) return released.status();
  session.Print(*released, absl::StrCat(*name, " released", DryRunNote(session), "\n"));
  return absl::OkStatus();
}

std::string ShadowTable(Session& session, const std::vector<v1::ShadowPool>& shadows) {
  return TableOf(session, ShadowColumns(), shadows);
}

bool HasShadow(const v1::Event& event) { return event.has_shadow_pool(); }
const v1::ShadowPool& ShadowOf(const v1::Event& event) { return event.shadow_pool(); }

absl::Status Get(Session& session) {
  const absl::StatusOr<std::string> name = session.ResolveShadow(session.arguments().name);
  if (!name.ok()) return name.status();
  v1::GetShadowPoolRequest request;
  request.set_name(*name);
  return Show(
      session,
      Shown<v1::ShadowPool, v1::ShadowPool>{
          .name_prefix = *name,
          .name = *name,
          .in_event = HasShadow,
          .of_event = ShadowOf,
          .fetch = [&] { return session.Call(session.shadows(), &Stub::GetShadowPool, request); },
          .items = OnlyItem<v1::ShadowPool>,
          .table = [&](const auto& shadows) { return ShadowTable(session, shadows); }});
}

std::vector<v1::ShadowPool> Items(const v1::ListShadowPoolsResponse& response) {
  return {response.shadow_pools().begin(), response.shadow_pools().end()};
}

absl::Status List(Session& session) {
  const std::string& pool = session.arguments().name;
  v1::ListShadowPoolsRequest request;
  request.set_parent(pool.empty() ? "pools/-" : FullPoolName(pool));
  return Show(session,
              Shown<v1::ShadowPool, v1::ListShadowPoolsResponse>{
                  .name_prefix = pool.empty() ? "" : FullPoolName(pool),
                  .name = "",
                  .in_event = HasShadow,
                  .of_event = ShadowOf,
                  .fetch =
                      [&] {
                        return session.CallPages(session.shadows(), &Stub::ListShadowPools, request,
                                                 &v1::ListShadowPoolsResponse::mutable_shadow_pools,
                                                 0);
                      },
                  .items = Items,
                  .table = [&](const auto& shadows) { return ShadowTable(session, shadows); }});
}

bool HasInstance(const v1::Event& event) { return event.has_instance(); }
const v1::Instance& InstanceOf(const v1::Event& event) { return event.instance(); }

std::vector<v1::Instance> InstanceItems(const v1::ListInstancesResponse& response) {
  return {response.instances().begin(), response.instances().end()};
}

// NAME: a pool (all its instances), or a shadow pool (its members).
absl::Status Instances(Session& session) {
  const std::string& name = session.arguments().name;
  const std::string shadow = FullShadowName(name);
  v1::ListInstancesRequest request;
  request.set_parent(shadow.empty() ? FullPoolName(name) : shadow);
  return Show(session, Shown<v1::Instance, v1::ListInstancesResponse>{
                           .name_prefix = request.parent(),
                           .name = "",
                           .in_event = HasInstance,
                           .of_event = InstanceOf,
                           .fetch =
                               [&] {
                                 return session.CallPages(
                                     session.shadows(), &Stub::ListInstances, request,
                                     &v1::ListInstancesResponse::mutable_instances, 0);
                               },
                           .items = InstanceItems,
                           .table =
                               [&](const auto& instances) {
                                 return TableOf(session, InstanceColumns(), instances);
                               }});
}

constexpr std::uint32_t kTakesHeldMutation = kTakesMutation | kTakesHold;

constexpr std::array<Command, 8> kCommands = {{
    {"shadow", "create", "POOL", "Create a shadow pool ahead of a rise of X demand units",
     "shadow create web --increase 120 --hold 30m --wait", kTakesIncrease | kTakesHeldMutation,
     Create},
    {"shadow", "activate", "NAME", "Let N percent of a shadow pool serve; 0 suspends it again",
     "shadow activate web --level 50 --wait", kTakesLevel | kTakesHeldMutation, Activate},
    {"shadow", "resize", "NAME", "Set the number of instances of a shadow pool",
     "shadow resize web --instances 4", kTakesInstances | kTakesHeldMutation, Resize},
    {"shadow", "get", "NAME", "Show one shadow pool", "shadow get web -o json",
     kTakesWatch | kTakesShown, Get},
    {"shadow", "list", "[POOL]", "List the shadow pools, of one pool or of all",
     "shadow list web --watch", kTakesWatch | kTakesShown, List},
    {"shadow", "delete", "NAME", "Drain and delete a shadow pool", "shadow delete web --hold 0",
     kTakesHeldMutation, Delete},
    {"shadow", "release", "NAME", "Give a held target back to the control loop",
     "shadow release web", kTakesMutation, Release},
    {"shadow", "instances", "NAME", "List the instances of a pool or of a shadow pool",
     "shadow instances web", kTakesWatch | kTakesShown, Instances},
}};

}  // namespace

std::span<const Command> ShadowCommands() { return kCommands; }

}  // namespace shadow
