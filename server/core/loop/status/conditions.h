// What is so of a pool and of the daemon, since when and why: what fails says so here, in an event
// and in the log, once for each turn. Control thread only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/core/loop/changes.h"
#include "shadow/v1/condition.pb.h"

namespace shadow {

// Brings the pool's conditions up to date. The pool is kept if one has changed, and watchers are
// told of one that became FALSE or ceased to be.
void UpdateConditions(Changes& changes, PoolEntry& pool);

// What came of a list of `provider`'s instances. If that turns whether it can be reached, watchers
// are told, and its pools show it when they are settled next. Sets World::recovered.
void NoteProviderList(Changes& changes, const std::string& provider, const absl::Status& listed);

// What is so of one condition now. `known` false: it was not asked yet, and the state before a
// restart stays.
struct ConditionNow {
  v1::Condition::Status status = v1::Condition::UNKNOWN;
  std::string_view reason;
  std::string message = {};
  bool known = true;
};

// Brings a condition of the daemon itself up to date, which has its type. If it became FALSE, or
// ceased to be, watchers are told, by an event of `name`.
void NoteDaemonCondition(Changes& changes, v1::Condition& condition, std::string_view name,
                         const ConditionNow& fresh);

// The daemon's own: Ready, as World::recovered says, of each provider ProviderReachable/NAME,
// DiskSpace once that was looked at, and ClockSteady.
std::vector<v1::Condition> DaemonConditions(const World& world);

}  // namespace shadow
