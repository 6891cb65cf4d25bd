// The parts that all JSON of the live page is made of.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/time.h"
#include "server/core/loop/status/snapshot.h"
#include "server/core/time_proto.h"

namespace shadow {

using FeedJson = nlohmann::ordered_json;

// Compact; bytes that are no UTF-8 become U+FFFD.
std::string FeedText(const FeedJson& json);

// Seconds since 1970, to the millisecond.
FeedJson FeedSeconds(absl::Time time);

// To six digits, as people read it and as it is short. null: not finite.
FeedJson FeedNumber(double value);

// Of all shadows of a pool.
struct ShadowCounts {
  int target = 0;
  int wanted_active = 0;  // By their levels.
  int serving = 0;
};
ShadowCounts ShadowCountsOf(const PoolSnapshot& pool);

// What the base serves now, in the demand unit.
double BaseCapacity(const v1::Pool& pool);

// The service level that `pool` must keep; 0: it goes by costs.
double ServiceLevelOf(const v1::Pool& pool);

std::string TimeZoneOf(const v1::Pool& pool);

}  // namespace shadow
