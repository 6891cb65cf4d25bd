// shadowctl describe ...
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/command.h"
#include "client/describe/next_change.h"
#include "client/describe/sheet.h"
#include "client/formats/spec.h"
#include "client/formats/yaml_text.h"
#include "client/names.h"
#include "client/proto_time.h"
#include "client/text.h"

namespace shadow {
namespace {

absl::StatusOr<std::vector<v1::Instance>> InstancesOf(Session& session, const std::string& parent) {
  v1::ListInstancesRequest request;
  request.set_parent(parent);
  const auto list =
      session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListInstances, request,
                        &v1::ListInstancesResponse::mutable_instances, 0);
  if (!list.ok()) return list.status();
  return std::vector<v1::Instance>(list->instances().begin(), list->instances().end());
}

absl::StatusOr<std::vector<v1::ShadowPool>> ShadowsOf(Session& session, const std::string& pool) {
  v1::ListShadowPoolsRequest request;
  request.set_parent(pool);
  const auto list =
      session.CallPages(session.shadows(), &v1::ShadowPoolService::Stub::ListShadowPools, request,
                        &v1::ListShadowPoolsResponse::mutable_shadow_pools, 0);
  if (!list.ok()) return list.status();
  return std::vector<v1::ShadowPool>(list->shadow_pools().begin(), list->shadow_pools().end());
}

absl::StatusOr<v1::Pool> PoolNamed(Session& session, const std::string& name) {
  v1::GetPoolRequest request;
  request.set_name(name);
  return session.Call(session.pools(), &v1::PoolService::Stub::GetPool, request);
}

// "web/r1: ACTIVE, 3 of 3 ready, 2 serve, level 50%"
std::string ShadowLine(const v1::ShadowPool& shadow) {
  return absl::StrCat(ShortName(shadow.name()), ": ", v1::ShadowPool::State_Name(shadow.state()),
                      ", ", shadow.serving_instances() + shadow.suspended_instances(), " of ",
                      shadow.target_instances(), " ready, ", shadow.serving_instances(),
                      " serve, level ", shadow.target_activation_level(), "%",
                      shadow.failed_instances() > 0
                          ? absl::StrCat(", ", shadow.failed_instances(), " failed")
                          : "");
}

// What was decided last, in words; empty: nothing, or it cannot be had.
std::string LastDecision(Session& session, const std::string& pool) {
  v1::ListDecisionsRequest request;
  request.set_pool(pool);
  request.set_page_size(1);
  const auto list = session.Call(session.usage(), &v1::UsageService::Stub::ListDecisions, request);
  if (!list.ok() || list->decisions().empty()) return "";
  const v1::Decision& decision = list->decisions(0);
  return absl::StrCat(ShortDuration(session.console().now() - FromProto(decision.time())),
                      " ago: ", decision.explanation());
}

// The spec without its name, which stands above it.
template <typename Resource>
std::string SpecText(const Resource& resource) {
  Resource spec = SpecOf(resource);
  spec.clear_name();
  return YamlText(spec);
}

std::string LeadsText(const v1::Pool& pool) {
  if (!pool.has_provisioning_lead() || !pool.has_activation_lead()) return "";
  return absl::StrCat(DurationText(FromProto(pool.provisioning_lead())), " to create, ",
                      DurationText(FromProto(pool.activation_lead())), " to activate");
}

absl::Status DescribePool(Session& session) {
  const absl::StatusOr<v1::Pool> pool = PoolNamed(session, FullPoolName(session.arguments().name));
  if (!pool.ok()) return pool.status();
  const auto shadows = ShadowsOf(session, pool->name());
  if (!shadows.ok()) return shadows.status();
  const auto instances = InstancesOf(session, pool->name());
  if (!instances.ok()) return instances.status();
  const absl::Time now = session.console().now();
  std::vector<v1::Event> events;
  const std::string recent = RecentEvents(session, pool->name(), events);
  std::string shadow_lines;
  for (const v1::ShadowPool& shadow : *shadows) {
    absl::StrAppend(&shadow_lines, PrintableText(ShadowLine(shadow)), "\n");
  }
  const std::string base =
      pool->has_managed_instances()
          ? absl::StrCat(pool->serving_base_instances(), " of ",
                         CountText(pool->managed_instances(), "instance"), " serve")
          : "";
  const std::string failure = LastFailure(*instances, events, now);
  const std::string text = absl::StrCat(
      LabelledLines({{"Name", pool->name()},
                     {"State", absl::StrCat(v1::Pool::State_Name(pool->state()),
                                            pool->reconciling() ? ", reconciling" : "")},
                     {"DNA", pool->dna_revision()},
                     {"Base", base},
                     {"Instances", InstanceCounts(*instances)},
                     {"Leads", LeadsText(*pool)},
                     {"Created", Ago(pool->has_create_time(), pool->create_time(), now)},
                     {"Changed", Ago(pool->has_update_time(), pool->update_time(), now)},
                     {"Last failure", failure.empty() ? "none is known" : failure},
                     {"Last decision", LastDecision(session, pool->name())}}),
      Section("Spec", SpecText(*pool)), Section("Shadow pools", shadow_lines),
      Section("Conditions", ConditionTable(session, pool->conditions())),
      Section("Next changes", PlannedChanges(session, {.pool = *pool, .shadows = *shadows})),
      Section("Events", recent));
  session.Print(*pool, text);
  return absl::OkStatus();
}

absl::Status DescribeShadow(Session& session) {
  const absl::StatusOr<std::string> name = session.ResolveShadow(session.arguments().name);
  if (!name.ok()) return name.status();
  v1::GetShadowPoolRequest request;
  request.set_name(*name);
  const auto shadow =
      session.Call(session.shadows(), &v1::ShadowPoolService::Stub::GetShadowPool, request);
  if (!shadow.ok()) return shadow.status();
  const auto pool = PoolNamed(session, PoolOf(*name));
  if (!pool.ok()) return pool.status();
  const auto instances = InstancesOf(session, *name);
  if (!instances.ok()) return instances.status();
  const absl::Time now = session.console().now();
  std::vector<v1::Event> events;
  const std::string recent = RecentEvents(session, *name, events);
  std::string failure = LastFailure(*instances, events, now);
  if (failure.empty()) failure = shadow->failure_reason();
  const std::string text = absl::StrCat(
      LabelledLines({{"Name", shadow->name()},
                     {"State", absl::StrCat(v1::ShadowPool::State_Name(shadow->state()),
                                            shadow->reconciling() ? ", reconciling" : "")},
                     {"DNA", shadow->dna_revision()},
                     {"Instances", InstanceCounts(*instances)},
                     {"Created", Ago(shadow->has_create_time(), shadow->create_time(), now)},
                     {"Changed", Ago(shadow->has_update_time(), shadow->update_time(), now)},
                     {"Last failure", failure.empty() ? "none is known" : failure},
                     {"Last decision", LastDecision(session, pool->name())}}),
      Section("Spec", absl::StrCat("target_instances: ", shadow->target_instances(),
                                   "\ntarget_activation_level: ", shadow->target_activation_level(),
                                   "%\n")),
      Section("Conditions of the pool", ConditionTable(session, pool->conditions())),
      Section("Next changes", PlannedChanges(session, {.pool = *pool, .shadows = {*shadow}})),
      Section("Events", recent));
  session.Print(*shadow, text);
  return absl::OkStatus();
}

// By its full name, as tables show it (web/r1/i1), or by its id after the pool (web/i1).
absl::StatusOr<v1::Instance> InstanceNamed(Session& session, const std::string& name) {
  const std::string pool = PoolOf(name);
  const auto instances = InstancesOf(session, pool);
  if (!instances.ok()) return instances.status();
  const std::string by_id = absl::StrCat("/instances/", name.substr(name.rfind('/') + 1));
  const bool pool_and_id = std::count(name.begin(), name.end(), '/') == 1;
  std::vector<std::string> names;
  for (const v1::Instance& instance : *instances) {
    if (instance.name() == name || ShortName(instance.name()) == name) return instance;
    if (pool_and_id && instance.name().ends_with(by_id)) return instance;
    names.push_back(ShortName(instance.name()));
  }
  const std::string hint = Closest(name, names);
  return absl::NotFoundError(
      absl::StrCat("name: ", pool, " has no instance \"", PrintableText(name), "\"",
                   hint.empty() ? "; `shadowctl shadow instances` lists them"
                                : absl::StrCat("; did you mean \"", PrintableText(hint), "\"?")));
}

absl::Status DescribeInstance(Session& session) {
  const auto instance = InstanceNamed(session, session.arguments().name);
  if (!instance.ok()) return instance.status();
  const auto pool = PoolNamed(session, PoolOf(instance->name()));
  if (!pool.ok()) return pool.status();
  const absl::Time now = session.console().now();
  std::vector<v1::Event> events;
  const std::string recent = RecentEvents(session, instance->name(), events);
  const std::string failure = LastFailure({*instance}, events, now);
  const std::string text = absl::StrCat(
      LabelledLines(
          {{"Name", instance->name()},
           {"Role", v1::Instance::Role_Name(instance->role())},
           {"State", v1::Instance::State_Name(instance->state())},
           {"Reason", instance->reason()},
           {"DNA", instance->dna_revision()},
           {"Address", instance->address()},
           {"Handle", instance->handle()},
           {"Weight", absl::StrCat(instance->weight_percent(), "%")},
           {"Created", Ago(instance->has_create_time(), instance->create_time(), now)},
           {"In this state", Ago(instance->has_state_time(), instance->state_time(), now)},
           {"Last needed", Ago(instance->has_need_time(), instance->need_time(), now)},
           {"First served",
            Ago(instance->has_first_serve_time(), instance->first_serve_time(), now)},
           {"Last failure", failure.empty() ? "none is known" : failure}}),
      Section("Conditions of the pool", ConditionTable(session, pool->conditions())),
      Section("Events", recent));
  session.Print(*instance, text);
  return absl::OkStatus();
}

// Names of the pools that follow `dna` or are pinned to a revision of it.
absl::StatusOr<std::string> UsersOf(Session& session, const std::string& dna) {
  const auto pools =
      session.CallPages(session.pools(), &v1::PoolService::Stub::ListPools, v1::ListPoolsRequest(),
                        &v1::ListPoolsResponse::mutable_pools, 0);
  if (!pools.ok()) return pools.status();
  const std::string bare = dna.substr(0, dna.find('@'));
  std::vector<std::string> users;
  for (const v1::Pool& pool : pools->pools()) {
    if (pool.dna().substr(0, pool.dna().find('@')) == bare) users.push_back(ShortName(pool.name()));
  }
  return absl::StrJoin(users, ", ");
}

absl::Status DescribeDna(Session& session) {
  v1::GetDnaRequest request;
  request.set_name(FullDnaName(session.arguments().name));
  const auto dna = session.Call(session.dnas(), &v1::DnaService::Stub::GetDna, request);
  if (!dna.ok()) return dna.status();
  const auto users = UsersOf(session, dna->name());
  if (!users.ok()) return users.status();
  const absl::Time now = session.console().now();
  std::vector<v1::Event> events;
  const std::string recent = RecentEvents(session, dna->name(), events);
  const std::string text = absl::StrCat(
      LabelledLines({{"Name", dna->name()},
                     {"Revision", dna->revision()},
                     {"Revisions", absl::StrJoin(dna->revisions(), ", ")},
                     {"Pools", users->empty() ? "none" : *users},
                     {"Created", Ago(dna->has_create_time(), dna->create_time(), now)},
                     {"Changed", Ago(dna->has_update_time(), dna->update_time(), now)}}),
      Section("Spec", SpecText(*dna)), Section("Events", recent));
  session.Print(*dna, text);
  return absl::OkStatus();
}

constexpr std::array<Command, 4> kDescribeCommands = {{
    {"describe", "pool", "NAME", "A pool: spec, conditions, failures, events, what comes next",
     "describe pool web", kTakesShown, DescribePool},
    {"describe", "shadow", "NAME", "A shadow pool, the same", "describe shadow web", kTakesShown,
     DescribeShadow},
    {"describe", "instance", "NAME", "An instance: where it is, why, and what happened to it",
     "describe instance web/r0123456789ab/i4", kTakesShown, DescribeInstance},
    {"describe", "dna", "NAME", "A DNA: spec, revisions, the pools that use it, events",
     "describe dna web", kTakesShown, DescribeDna},
}};

}  // namespace

std::span<const Command> DescribeCommands() { return kDescribeCommands; }

}  // namespace shadow
