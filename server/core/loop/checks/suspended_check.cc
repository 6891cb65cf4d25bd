#include "server/core/loop/checks/suspended_check.h"

#include <map>
#include <optional>
#include <string>

#include "server/core/loop/instances.h"
#include "server/core/planner.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using I = v1::Instance;

struct AtRest {
  int suspended = 0;
  int active = 0;
};

// By group: the short name of a shadow, empty for the base. Unset: one is on its way.
std::optional<std::map<std::string, AtRest>> CountAtRest(const PoolEntry& pool) {
  std::map<std::string, AtRest> groups;
  for (const auto& [id, member] : pool.members) {
    const I::State state = member.record.instance().state();
    if (state == I::FAILED || state == I::DELETING) continue;
    if (member.record.instance().cordoned()) continue;  // It is nobody's.
    const bool rests = state == I::SUSPENDED || state == I::ACTIVE;
    if (!rests || member.task != InstanceTask::kNone) return std::nullopt;
    AtRest& group = groups[member.shadow];
    ++(state == I::ACTIVE ? group.active : group.suspended);
  }
  return groups;
}

// Everything that is wanted is there and at rest, and all that demand needs serves.
bool IsSpare(const PoolEntry& pool) {
  auto groups = CountAtRest(pool);
  if (!groups.has_value()) return false;
  if ((*groups)[""].active < pool.spec->pool.managed_instances()) return false;
  int serving = 0;
  for (const auto& [id, shadow] : pool.shadows) {
    const v1::ShadowPool& target = shadow.record.shadow();
    const AtRest& group = (*groups)[id];
    if (shadow.record.deleting()) {
      if (group.suspended + group.active > 0) return false;
      continue;  // Only cordoned ones are left of it.
    }
    if (group.suspended + group.active != target.target_instances() ||
        group.active != ActiveCount(target.target_instances(), target.target_activation_level())) {
      return false;
    }
    serving += group.active;
  }
  return serving >= pool.planning.needed;
}

bool ProviderAnswers(const World& world, const PoolEntry& pool) {
  const auto provider = world.providers.find(pool.spec->provider->key);
  return provider != world.providers.end() && provider->second.listed.has_value() &&
         provider->second.listed->ok();
}

// One of a daemon that knew no checks was verified when it was made.
absl::Time LastCheck(const Member& member) {
  const I& instance = member.record.instance();
  return FromProto(instance.has_check_time() ? instance.check_time() : instance.create_time());
}

// The suspended one whose last check is the oldest; of several, the one with the first id.
Member* Oldest(PoolEntry& pool) {
  Member* oldest = nullptr;
  for (auto& [id, member] : pool.members) {
    if (member.shadow.empty() || member.record.instance().state() != I::SUSPENDED) continue;
    if (member.record.want() != v1::InstanceRecord::WANT_SUSPENDED) continue;  // It is cordoned.
    if (oldest == nullptr || LastCheck(member) < LastCheck(*oldest)) oldest = &member;
  }
  return oldest;
}

}  // namespace

Member* BeginDueCheck(Changes& changes, PoolEntry& pool) {
  const absl::Duration interval = pool.spec->suspended_check_interval;
  if (interval == absl::ZeroDuration() || !pool.spec->provider->traits.suspends) return nullptr;
  if (pool.record.pool().state() == v1::Pool::DELETING) return nullptr;
  Member* oldest = Oldest(pool);
  if (oldest == nullptr) return nullptr;
  // Also after the clock was set back by more than that.
  const absl::Duration age = changes.now().wall - LastCheck(*oldest);
  if (absl::AbsDuration(age) < interval) return nullptr;
  if (!ProviderAnswers(changes.world(), pool) || !IsSpare(pool)) return nullptr;
  BeginCheck(changes, pool, *oldest);
  return oldest;
}

}  // namespace shadow
