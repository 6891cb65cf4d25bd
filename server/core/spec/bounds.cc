#include "server/core/spec/bounds.h"

#include "absl/strings/str_cat.h"
#include "server/core/spec.h"

namespace shadow {
namespace {

constexpr int kDaysLong = 7;  // The longest window of a week.

bool WithinWeekly(const CompiledOverride::Weekly& weekly, absl::Time time) {
  const absl::CivilDay today(absl::ToCivilSecond(time, weekly.zone));
  for (int back = 0; back <= kDaysLong; ++back) {
    const absl::CivilDay day = today - back;
    if (!weekly.days.test(static_cast<size_t>(absl::GetWeekday(day)))) continue;
    const absl::Time begin =
        absl::FromCivil(absl::CivilMinute(day) + weekly.start_minute, weekly.zone);
    if (begin <= time && time < begin + weekly.duration) return true;
  }
  return false;
}

// Of the overrides in force at `time`.
struct Overridden {
  const CompiledOverride* min = nullptr;
  const CompiledOverride* max = nullptr;
};

Overridden OverridesAt(const CompiledPool& pool, absl::Time time) {
  Overridden found;
  for (const CompiledOverride& override : pool.overrides) {
    if (!InForce(override, time)) continue;
    if (override.min_instances.has_value()) found.min = &override;
    if (override.max_instances.has_value()) found.max = &override;
  }
  return found;
}

}  // namespace

bool InForce(const CompiledOverride& override, absl::Time time) {
  if (time < override.start || time >= override.end) return false;
  return !override.weekly.has_value() || WithinWeekly(*override.weekly, time);
}

Bounds BoundsAt(const CompiledPool& pool, absl::Time now, absl::Duration lead) {
  const v1::Policy& policy = pool.pool.policy();
  Bounds bounds{.min_instances = policy.min_shadow_instances(),
                .max_instances = policy.max_shadow_instances(),
                .by = ""};
  if (pool.overrides.empty()) return bounds;
  const Overridden present = OverridesAt(pool, now);
  const Overridden coming = OverridesAt(pool, now + lead);
  if (present.max != nullptr) {
    bounds.max_instances = *present.max->max_instances;
    bounds.by = present.max->description;
  }
  if (present.min != nullptr) {
    bounds.min_instances = *present.min->min_instances;
    bounds.by = present.min->description;
  }
  if (coming.min != nullptr && *coming.min->min_instances > bounds.min_instances) {
    bounds.min_instances = *coming.min->min_instances;
    bounds.by = coming.min->description;
  }
  if (bounds.min_instances > bounds.max_instances) {
    absl::StrAppend(&bounds.by, bounds.by.empty() ? "" : " ", "(minimum ", bounds.min_instances,
                    " cut to ", bounds.max_instances, ")");
    bounds.min_instances = bounds.max_instances;
  }
  return bounds;
}

}  // namespace shadow
