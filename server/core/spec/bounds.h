// How large a pool's shadow may be at an instant: the policy, and the overrides that are in force.
#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace shadow {

struct CompiledPool;

// A BoundsOverride of the policy (pool.proto), validated.
struct CompiledOverride {
  struct Weekly {
    std::bitset<7> days;   // By absl::Weekday; on which it begins.
    int start_minute = 0;  // Of the day, by the zone's clock.
    absl::Duration duration;
    absl::TimeZone zone;
  };
  std::string description;
  absl::Time start = absl::InfinitePast();
  absl::Time end = absl::InfiniteFuture();
  std::optional<Weekly> weekly;
  std::optional<int> min_instances;
  std::optional<int> max_instances;
};

bool InForce(const CompiledOverride& override, absl::Time time);

struct Bounds {
  int min_instances = 0;  // Of the shadow; at most max_instances.
  int max_instances = 0;
  // Description of the last override that set one; empty: none did. Where the minimum is above the
  // maximum it ends so: "sale (minimum 20 cut to 10)".
  std::string by;
};

// Each bound is set by the last override that is in force and has it, else by the policy. A minimum
// counts from `lead` before it is in force, if it is the higher one.
Bounds BoundsAt(const CompiledPool& pool, absl::Time now, absl::Duration lead);

}  // namespace shadow
