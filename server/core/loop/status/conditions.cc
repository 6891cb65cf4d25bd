#include "server/core/loop/status/conditions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/loop/demand.h"
#include "server/core/loop/planning.h"
#include "server/core/loop/status/rollout.h"
#include "server/core/names.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using C = v1::Condition;
using I = v1::Instance;

ConditionNow NotYet(std::string_view reason) {
  return {.status = C::UNKNOWN, .reason = reason, .message = "", .known = false};
}

// Of a call that failed.
std::string_view ReasonOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:  // By its lane.
      return "Unavailable";
    case absl::StatusCode::kPermissionDenied:
      return "PermissionDenied";
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
      return "Misconfigured";
    default:
      return "Failed";
  }
}

ConditionNow Failure(const absl::Status& status) {
  return {.status = C::FALSE, .reason = ReasonOf(status), .message = std::string(status.message())};
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

bool IsBeingDeleted(const PoolEntry& pool) {
  return pool.record.pool().state() == v1::Pool::DELETING;
}

ConditionNow BaseCondition(const PoolEntry& pool) {
  if (IsBeingDeleted(pool)) return {.status = C::FALSE, .reason = "Deleting"};
  const int wanted = pool.spec->pool.managed_instances();
  int serving = 0;
  const Member* failed = nullptr;
  for (const auto& [id, member] : pool.members) {
    if (!member.shadow.empty() || member.record.instance().cordoned()) continue;
    const I::State state = member.record.instance().state();
    serving += state == I::ACTIVE ? 1 : 0;
    if (state == I::FAILED) failed = &member;  // By id: the newest is the last.
  }
  if (serving >= wanted) return {.status = C::TRUE, .reason = "BaseServes"};
  std::string message = absl::StrCat(serving, " of ", wanted, " base instances serve");
  if (failed == nullptr) {
    return {.status = C::FALSE, .reason = "Starting", .message = std::move(message)};
  }
  absl::StrAppend(&message, "; last failure: ", failed->record.instance().reason());
  return {.status = C::FALSE, .reason = "InstancesFail", .message = std::move(message)};
}

ConditionNow UsageCondition(const PoolEntry& pool, Instant now) {
  const absl::Status& read = pool.demand.usage_read;
  if (absl::IsFailedPrecondition(read) || absl::IsPermissionDenied(read)) return Failure(read);
  const absl::Duration age_max = pool.spec->usage_max_age;
  const bool fresh = pool.demand.value.has_value() && now.wall - pool.demand.last_sample <= age_max;
  if (fresh) return {.status = C::TRUE, .reason = "Fresh"};
  if (!read.ok()) return Failure(read);
  // After a downtime the first sample may still be on its way.
  if (!pool.demand.value.has_value() || now.mono - pool.timers.opened <= age_max)
    return NotYet("NoSampleYet");
  return {.status = C::FALSE,
          .reason = "Stale",
          .message = absl::StrCat("no sample since ", TimeText(pool.demand.last_sample))};
}

// Of the shadow of the present revision; nullptr: there is none.
const ShadowEntry* Current(const PoolEntry& pool) {
  const auto found = pool.shadows.find(CurrentShadowId(pool));
  return found == pool.shadows.end() ? nullptr : &found->second;
}

std::optional<absl::Time> HeldUntil(const PoolEntry& pool, const ShadowEntry* shadow) {
  if (pool.record.pool().has_hold_until_time()) {
    return FromProto(pool.record.pool().hold_until_time());
  }
  if (shadow != nullptr && shadow->record.shadow().has_hold_until_time()) {
    return FromProto(shadow->record.shadow().hold_until_time());
  }
  return std::nullopt;
}

bool LastSizeSays(const PoolEntry& pool, v1::Decision::Reason reason) {
  const auto last = pool.planning.last_decisions.find(v1::Decision::SIZE);
  if (last == pool.planning.last_decisions.end()) return false;
  const auto& reasons = last->second.reasons();
  return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

// Whether demand is followed by itself, as far as it asks.
ConditionNow ScalingCondition(const PoolEntry& pool, Instant now) {
  if (IsBeingDeleted(pool)) return {.status = C::FALSE, .reason = "Deleting"};
  if (pool.spec->pool.policy().mode() != v1::Policy::AUTOMATIC) {
    return {.status = C::FALSE,
            .reason = "Observing",
            .message = "policy.mode is OBSERVE: decisions are recorded, not carried out"};
  }
  const ShadowEntry* shadow = Current(pool);
  if (const auto until = HeldUntil(pool, shadow); until.has_value()) {
    return {.status = C::FALSE,
            .reason = "Held",
            .message = absl::StrCat("a target set by hand holds until ", TimeText(*until))};
  }
  if (const ConditionNow usage = UsageCondition(pool, now); usage.status != C::TRUE) {
    return {.status = C::FALSE,
            .reason = "UsageStale",
            .message = "without fresh usage nothing is scaled"};
  }
  if (shadow != nullptr && shadow->backoff.consecutive_failures > 0) {
    return {.status = C::FALSE,
            .reason = "InstancesFail",
            .message = shadow->record.shadow().failure_reason()};
  }
  if (!pool.planning.last_decisions.contains(v1::Decision::SIZE)) return NotYet("NoDecisionYet");
  if (LastSizeSays(pool, v1::Decision::OVER_BUDGET)) {
    return {.status = C::FALSE,
            .reason = "OverBudget",
            .message = "the daemon's instances_max leaves too few instances to this pool"};
  }
  if (LastSizeSays(pool, v1::Decision::AT_MAXIMUM)) {
    return {.status = C::FALSE,
            .reason = "AtMaximum",
            .message = "the demand needs more than max_shadow_instances"};
  }
  if (auto rollout = RolloutText(pool); rollout.has_value()) {
    return {.status = C::TRUE, .reason = "RollingOut", .message = *std::move(rollout)};
  }
  return {.status = C::TRUE, .reason = "Automatic"};
}

ConditionNow ForecastCondition(const PoolEntry& pool) {
  if (!pool.planning.trust.has_value()) return NotYet("NoStepYet");
  const auto untrusted = [&](std::string_view reason) {
    return ConditionNow{
        .status = C::FALSE, .reason = reason, .message = pool.planning.trust->reason};
  };
  switch (pool.planning.trust->trust) {
    case ForecastTrust::kTrusted:
      return {.status = C::TRUE, .reason = "Trusted"};
    case ForecastTrust::kTooLittleData:
      return {
          .status = C::UNKNOWN, .reason = "TooLittleData", .message = pool.planning.trust->reason};
    case ForecastTrust::kWorseThanNaive:
      return untrusted("WorseThanNaive");
    case ForecastTrust::kStale:
      return untrusted("Stale");
  }
  return {};
}

ConditionNow ProviderCondition(const ProviderEntry& provider) {
  if (!provider.listed.has_value()) return NotYet("NotAskedYet");
  if (!provider.listed->ok()) return Failure(*provider.listed);
  return {.status = C::TRUE, .reason = "Answers"};
}

// `resources`: of the pool's DNA.
ConditionNow LimitsCondition(const std::vector<std::string>& missing,
                             const v1::Resources& resources) {
  const std::pair<const char*, bool> needed[] = {
      {"cpu", resources.has_cpu_millis() || resources.has_cpu_weight()},
      {"memory", resources.has_memory_max_bytes() || resources.has_memory_high_bytes()},
      {"pids", resources.has_tasks_max()},
  };
  std::string names;
  for (const auto& [name, needs] : needed) {
    if (!needs || std::find(missing.begin(), missing.end(), name) == missing.end()) continue;
    absl::StrAppend(&names, names.empty() ? "" : ", ", name);
  }
  if (names.empty() && std::find(missing.begin(), missing.end(), "resize") != missing.end()) {
    return {.status = C::FALSE,
            .reason = "ResizeMissing",
            .message =
                "a suspended instance keeps its CPU: the cluster cannot resize pods in "
                "place, which Kubernetes 1.33 and newer can"};
  }
  if (names.empty()) return {.status = C::TRUE, .reason = "Enforced"};
  return {.status = C::FALSE,
          .reason = "ControllersMissing",
          .message = absl::StrCat("limits of the DNA are not enforced: where its instances run, "
                                  "these controllers are missing: ",
                                  names)};
}

constexpr int64_t kMiB = 1 << 20;

// Unset: no suspended instance's provider has told of it.
std::optional<ConditionNow> MemoryCondition(const PoolEntry& pool) {
  ReclaimedMemory all{.before_bytes = 0, .after_bytes = 0, .swap = true};
  int instances = 0;
  for (const auto& [id, member] : pool.members) {
    if (!Rests(member) || !member.reclaimed.has_value()) continue;
    ++instances;
    all.before_bytes += member.reclaimed->before_bytes;
    all.after_bytes += member.reclaimed->after_bytes;
    all.swap &= member.reclaimed->swap;
  }
  if (instances == 0) return std::nullopt;
  const int64_t freed_bytes = std::max<int64_t>(0, all.before_bytes - all.after_bytes);
  std::string message = absl::StrCat(instances, " suspended instances gave back ",
                                     freed_bytes / kMiB, " of ", all.before_bytes / kMiB, " MiB");
  if (all.swap || freed_bytes >= all.before_bytes / 2) {
    return ConditionNow{.status = C::TRUE, .reason = "Reclaimed", .message = std::move(message)};
  }
  absl::StrAppend(&message, ": swap has no room, so only memory that files hold is reclaimed");
  return ConditionNow{.status = C::FALSE, .reason = "NoSwap", .message = std::move(message)};
}

ConditionNow BalancerCondition(const PoolEntry& pool) {
  if (!pool.balancing.view_read.ok()) return Failure(pool.balancing.view_read);
  if (!pool.balancing.view.has_value()) return NotYet("NotAskedYet");
  return {.status = C::TRUE, .reason = "Answers"};
}

// What became of a condition.
enum class Turn {
  kNone,   // It is as before.
  kOther,  // In its words, or between TRUE and UNKNOWN.
  kFalse,  // It became FALSE, also for another reason, or stopped being FALSE.
};

// Notes since when, where it is different from before.
Turn Set(C& condition, const ConditionNow& fresh, absl::Time now) {
  const bool same_status = condition.status() == fresh.status;
  const bool same = same_status && condition.reason() == fresh.reason;
  if (same && condition.message() == fresh.message) return Turn::kNone;
  const bool told = !same && (condition.status() == C::FALSE || fresh.status == C::FALSE);
  if (!same_status) *condition.mutable_since_time() = ToProto(now);
  condition.set_status(fresh.status);
  condition.set_reason(std::string(fresh.reason));
  condition.set_message(fresh.message);
  return told ? Turn::kFalse : Turn::kOther;
}

std::string Text(const C& condition) {
  std::string text = absl::StrCat(condition.type(), " is ", C::Status_Name(condition.status()),
                                  " (", condition.reason(), ")");
  if (!condition.message().empty()) absl::StrAppend(&text, ": ", condition.message());
  return text;
}

LogLevel LevelOf(const C& condition) {
  return condition.status() == C::FALSE ? LogLevel::kWarning : LogLevel::kInfo;
}

class PoolConditions {
 public:
  PoolConditions(Changes& changes, PoolEntry& pool) : changes_(changes), pool_(pool) {}

  // `told`: its turns are events. Those that follow from the state of instances, targets and
  // settings have events already.
  void Set(std::string_view type, const ConditionNow& fresh, bool told) {
    C& condition = Find(type);
    if (!fresh.known && condition.status() != C::STATUS_UNSPECIFIED) return;
    const Turn turn = shadow::Set(condition, fresh, changes_.now().wall);
    if (turn == Turn::kNone) return;
    if (told && turn == Turn::kFalse) {
      changes_.Put(pool_, v1::Event::UPDATED, Text(condition), LevelOf(condition));
    } else {
      changes_.Keep(pool_);
    }
  }

  void Remove(std::string_view type) {
    auto& all = *pool_.record.mutable_pool()->mutable_conditions();
    const auto found =
        std::find_if(all.begin(), all.end(), [type](const C& one) { return one.type() == type; });
    if (found == all.end()) return;
    all.erase(found);
    changes_.Keep(pool_);
  }

 private:
  C& Find(std::string_view type) {
    auto& all = *pool_.record.mutable_pool()->mutable_conditions();
    for (C& one : all) {
      if (one.type() == type) return one;
    }
    C& added = *all.Add();
    added.set_type(std::string(type));
    return added;
  }

  Changes& changes_;
  PoolEntry& pool_;
};

void SetLimits(const World& world, const PoolEntry& pool, const ProviderEntry& provider,
               PoolConditions& conditions) {
  if (!provider.missing_controllers.has_value()) {
    if (provider.listed.has_value() && provider.listed->ok()) conditions.Remove("LimitsEnforced");
    return;
  }
  const auto name = ParseDnaName(pool.spec->pool.dna(), "pool.dna");
  const auto dna = world.dnas.find(name.ok() ? name->dna : "");
  if (dna == world.dnas.end()) return;
  const auto newest = dna->second.revisions.find(dna->second.newest);
  if (newest == dna->second.revisions.end()) return;
  conditions.Set("LimitsEnforced",
                 LimitsCondition(*provider.missing_controllers, newest->second.resources()), true);
}

}  // namespace

void UpdateConditions(Changes& changes, PoolEntry& pool) {
  if (!IsBeingDeleted(pool)) NoteRollout(changes, pool);
  PoolConditions conditions(changes, pool);
  const Instant& now = changes.now();
  conditions.Set("Ready", BaseCondition(pool), false);
  conditions.Set("Scaling", ScalingCondition(pool, now), false);
  if (!IsBeingDeleted(pool)) {  // Otherwise nothing is read any more.
    conditions.Set("UsageFresh", UsageCondition(pool, now), true);
    conditions.Set("ForecastTrusted", ForecastCondition(pool), true);
  }
  const auto provider = changes.world().providers.find(pool.spec->provider->key);
  if (provider != changes.world().providers.end()) {
    conditions.Set("ProviderReachable", ProviderCondition(provider->second), false);
    SetLimits(changes.world(), pool, provider->second, conditions);
  }
  if (const auto memory = MemoryCondition(pool); memory.has_value()) {
    conditions.Set("MemoryReclaimed", *memory, true);
  } else if (pool.shadows.empty()) {  // Otherwise what was last known stays.
    conditions.Remove("MemoryReclaimed");
  }
  if (pool.spec->has_balancer) {
    conditions.Set("BalancerReachable", BalancerCondition(pool), true);
  } else {
    conditions.Remove("BalancerReachable");
  }
}

void NoteDaemonCondition(Changes& changes, C& condition, std::string_view name,
                         const ConditionNow& fresh) {
  const Turn turn = Set(condition, fresh, changes.now().wall);
  if (turn == Turn::kNone) return;
  changes.world().daemon_changed = true;
  if (turn != Turn::kFalse) return;
  if (condition.status() == C::FALSE) {
    changes.Warn(name, Text(condition));  // Whatever request it was seen at.
  } else {
    changes.Note(v1::Event::UPDATED, name, Text(condition), LevelOf(condition));
  }
}

void NoteProviderList(Changes& changes, const std::string& provider, const absl::Status& listed) {
  World& world = changes.world();
  ProviderEntry& entry = world.providers.at(provider);
  entry.listed = listed;
  world.recovered |= std::all_of(world.providers.begin(), world.providers.end(),
                                 [](const auto& one) { return one.second.listed.has_value(); });
  entry.condition.set_type("ProviderReachable");
  NoteDaemonCondition(changes, entry.condition, absl::StrCat("providers/", provider),
                      ProviderCondition(entry));
}

std::vector<C> DaemonConditions(const World& world) {
  std::vector<C> conditions;
  C ready;
  ready.set_type("Ready");
  ready.set_status(world.recovered ? C::TRUE : C::FALSE);
  ready.set_reason(world.recovered ? "Serving" : "Starting");
  conditions.push_back(std::move(ready));
  for (const auto& [name, provider] : world.providers) {
    conditions.push_back(provider.condition);
    conditions.back().set_type(absl::StrCat("ProviderReachable/", name));
    if (!provider.listed.has_value()) conditions.back().set_status(C::UNKNOWN);
  }
  if (world.room.condition.status() != C::STATUS_UNSPECIFIED) {
    conditions.push_back(world.room.condition);
  }
  if (world.clock.condition.status() != C::STATUS_UNSPECIFIED) {
    conditions.push_back(world.clock.condition);
  }
  return conditions;
}

}  // namespace shadow
