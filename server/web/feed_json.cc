#include "server/web/feed_json.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "server/core/names.h"
#include "server/core/planner.h"
#include "server/core/time_proto.h"
#include "server/web/feed_parts.h"

namespace shadow {
namespace {

template <typename Message>
FeedJson FeedSecondsOf(const Message& message, bool has) {
  return has ? FeedSeconds(FromProto(message)) : FeedJson();
}

// What is so of a pool in one word, and in words.
struct PoolHealth {
  std::string_view word = "good";
  std::string why = "All is as wanted";
};

std::string ConditionWords(const v1::Condition& condition) {
  const std::string& text = condition.message().empty() ? condition.reason() : condition.message();
  return absl::StrCat(condition.type(), ": ", text);
}

// Nothing that a person has to look at: a mode, a hold, a pool that starts or goes.
bool IsHarmless(const v1::Condition& condition) {
  static constexpr std::string_view kReasons[] = {"Observing", "Held", "Deleting", "Starting"};
  return std::find(std::begin(kReasons), std::end(kReasons), condition.reason()) !=
         std::end(kReasons);
}

bool IsMinor(const v1::Condition& condition) {
  return condition.type() == "ForecastTrusted" || condition.type() == "LimitsEnforced";
}

PoolHealth PoolHealthOf(const v1::Pool& pool) {
  PoolHealth health;
  if (pool.state() == v1::Pool::DELETING) return {"warn", "It is being deleted"};
  if (pool.reconciling()) health = {"warn", "Changes are under way"};
  for (const v1::Condition& condition : pool.conditions()) {
    if (condition.reason() == "NoSampleYet" && health.word == "good") {
      health = {"idle", "No usage has been reported yet"};
    }
    if (condition.status() != v1::Condition::FALSE || IsHarmless(condition)) continue;
    // Without usage nothing is scaled: the cause is told, not what follows from it.
    if (condition.reason() == "UsageStale") continue;
    if (!IsMinor(condition)) return {"bad", ConditionWords(condition)};
    if (health.word == "good") health = {"warn", ConditionWords(condition)};
  }
  return health;
}

struct InstanceCounts {
  std::map<std::string, int> states;
  int serving = 0;
  int suspended = 0;
};

InstanceCounts InstanceCountsOf(const PoolSnapshot& pool) {
  InstanceCounts counts;
  for (const auto& [name, instance] : pool.instances) {
    ++counts.states[v1::Instance::State_Name(instance.state())];
    if (instance.state() == v1::Instance::ACTIVE) ++counts.serving;
    if (instance.state() == v1::Instance::SUSPENDED) ++counts.suspended;
  }
  return counts;
}

FeedJson HoldOf(const PoolSnapshot& pool) {
  FeedJson until = FeedSecondsOf(pool.pool.hold_until_time(), pool.pool.has_hold_until_time());
  for (const auto& [name, shadow] : pool.shadows) {
    if (!shadow.has_hold_until_time()) continue;
    const FeedJson of_shadow = FeedSeconds(FromProto(shadow.hold_until_time()));
    if (until.is_null() || of_shadow > until) until = of_shadow;
  }
  return until;
}

FeedJson BriefOf(const PoolSnapshot& entry, const InstanceCounts& counts,
                 const PoolHealth& health) {
  const v1::Pool& pool = entry.pool;
  const ShadowCounts shadows = ShadowCountsOf(entry);
  const bool external = pool.base_case() == v1::Pool::kExternalCapacity;
  return {{"id", LastId(pool.name())},
          {"unit", pool.demand_unit()},
          {"mode", v1::Policy::Mode_Name(pool.policy().mode())},
          {"health", health.word},
          {"why", health.why},
          {"hold", HoldOf(entry)},
          {"external_capacity", external ? FeedNumber(pool.external_capacity()) : FeedJson()},
          {"base_target", pool.managed_instances()},
          {"base_serving", pool.serving_base_instances()},
          {"shadow_target", shadows.target},
          {"shadow_serving", shadows.serving},
          {"states", counts.states}};
}

FeedJson ConditionsOf(const google::protobuf::RepeatedPtrField<v1::Condition>& conditions) {
  FeedJson list = FeedJson::array();
  for (const v1::Condition& condition : conditions) {
    list.push_back({{"type", condition.type()},
                    {"status", v1::Condition::Status_Name(condition.status())},
                    {"reason", condition.reason()},
                    {"message", condition.message()},
                    {"since", FeedSecondsOf(condition.since_time(), condition.has_since_time())}});
  }
  return list;
}

FeedJson InstanceOf(const v1::Instance& instance) {
  FeedJson woke;
  if (instance.has_need_time() && instance.has_first_serve_time()) {
    const absl::Duration took =
        FromProto(instance.first_serve_time()) - FromProto(instance.need_time());
    if (took >= absl::ZeroDuration()) woke = absl::ToDoubleSeconds(took);
  }
  return {{"name", instance.name()},
          {"id", LastId(instance.name())},
          {"role", v1::Instance::Role_Name(instance.role())},
          {"state", v1::Instance::State_Name(instance.state())},
          {"since", FeedSecondsOf(instance.state_time(), instance.has_state_time())},
          {"created", FeedSecondsOf(instance.create_time(), instance.has_create_time())},
          {"weight", instance.weight_percent()},
          {"address", instance.address()},
          {"reason", instance.reason()},
          {"woke_s", woke},
          {"woken", instance.woken()}};
}

// The base first, then by age: a tile stays where it is.
std::vector<const v1::Instance*> OrderedInstances(const PoolSnapshot& pool) {
  std::vector<std::pair<int64_t, const v1::Instance*>> keyed;
  for (const auto& [name, instance] : pool.instances) {
    keyed.emplace_back(InstanceNumber(LastId(name)), &instance);
  }
  std::stable_sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) {
    const bool a_shadow = a.second->role() == v1::Instance::SHADOW;
    const bool b_shadow = b.second->role() == v1::Instance::SHADOW;
    return std::tie(a_shadow, a.first) < std::tie(b_shadow, b.first);
  });
  std::vector<const v1::Instance*> ordered;
  ordered.reserve(keyed.size());
  for (const auto& [number, instance] : keyed) ordered.push_back(instance);
  return ordered;
}

// Which one of its kinds a provider or a balancer is, e.g. "haproxy"; empty: it does not say.
std::string KindName(const google::protobuf::Message& message) {
  const auto* kinds = message.GetDescriptor()->FindOneofByName("kind");
  const auto* kind = message.GetReflection()->GetOneofFieldDescriptor(message, kinds);
  return kind == nullptr ? "" : kind->name();
}

void AddPolicy(const v1::Pool& pool, FeedJson& json) {
  const v1::Policy& policy = pool.policy();
  json["provider"] = KindName(pool.provider());
  json["balancer"] = KindName(pool.balancer());
  json["step_s"] = absl::ToDoubleSeconds(FromProto(pool.step()));
  json["service_level"] = ServiceLevelOf(pool);
  json["sizing"] = v1::Policy::Sizing_Name(policy.sizing());
  json["min_shadow"] = policy.min_shadow_instances();
  json["max_shadow"] = policy.max_shadow_instances();
  json["time_zone"] = TimeZoneOf(pool);
}

}  // namespace

std::string StateJson(const Snapshot& snapshot, size_t pools_max) {
  FeedJson pools = FeedJson::array();
  int64_t serving = 0;
  int64_t suspended = 0;
  int64_t attention = 0;
  for (const auto& [name, pool] : snapshot.pools) {
    const InstanceCounts counts = InstanceCountsOf(*pool);
    const PoolHealth health = PoolHealthOf(pool->pool);
    serving += counts.serving;
    suspended += counts.suspended;
    attention += health.word == "bad" ? 1 : 0;
    if (pools.size() < pools_max) pools.push_back(BriefOf(*pool, counts, health));
  }
  const google::protobuf::RepeatedPtrField<v1::Condition> conditions(snapshot.conditions.begin(),
                                                                     snapshot.conditions.end());
  return FeedText({{"revision", snapshot.revision},
                   {"recovered", snapshot.recovered},
                   {"conditions", ConditionsOf(conditions)},
                   {"pools_total", snapshot.pools.size()},
                   {"serving", serving},
                   {"suspended", suspended},
                   {"attention", attention},
                   {"pools", std::move(pools)}});
}

std::string PoolJson(const PoolSnapshot& entry) {
  const v1::Pool& pool = entry.pool;
  const InstanceCounts counts = InstanceCountsOf(entry);
  const ShadowCounts shadows = ShadowCountsOf(entry);
  FeedJson json = BriefOf(entry, counts, PoolHealthOf(pool));
  AddPolicy(pool, json);
  json["dna_revision"] = pool.dna_revision();
  json["instance_capacity"] = FeedNumber(pool.instance_capacity());
  json["active_capacity"] =
      FeedNumber(BaseCapacity(pool) + shadows.serving * pool.instance_capacity());
  json["serving"] = counts.serving;
  json["suspended"] = counts.suspended;
  json["shadow_level"] = LevelFor(shadows.target, shadows.wanted_active);
  json["activation_lead_s"] = absl::ToDoubleSeconds(FromProto(pool.activation_lead()));
  json["provisioning_lead_s"] = absl::ToDoubleSeconds(FromProto(pool.provisioning_lead()));
  json["conditions"] = ConditionsOf(pool.conditions());
  json["instances_total"] = entry.instances.size();
  FeedJson& instances = json["instances"] = FeedJson::array();
  for (const v1::Instance* instance : OrderedInstances(entry)) {
    if (instances.size() == kFeedInstancesMax) break;
    instances.push_back(InstanceOf(*instance));
  }
  return FeedText(json);
}

}  // namespace shadow
