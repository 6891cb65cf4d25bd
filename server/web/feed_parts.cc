#include "server/web/feed_parts.h"

#include <cmath>

#include "server/core/planner.h"

namespace shadow {

std::string FeedText(const FeedJson& json) {
  return json.dump(-1, ' ', false, FeedJson::error_handler_t::replace);
}

FeedJson FeedSeconds(absl::Time time) {
  return static_cast<double>(absl::ToUnixMillis(time)) / 1000;
}

FeedJson FeedNumber(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0;
  const double factor = std::pow(10, 6 - std::ceil(std::log10(std::fabs(value))));
  const double rounded = std::round(value * factor) / factor;
  if (!std::isfinite(rounded)) return value;
  return rounded;
}

ShadowCounts ShadowCountsOf(const PoolSnapshot& pool) {
  ShadowCounts sum;
  for (const auto& [name, shadow] : pool.shadows) {
    sum.target += shadow.target_instances();
    sum.wanted_active += ActiveCount(shadow.target_instances(), shadow.target_activation_level());
    sum.serving += shadow.serving_instances();
  }
  return sum;
}

double BaseCapacity(const v1::Pool& pool) {
  if (pool.base_case() == v1::Pool::kExternalCapacity) return pool.external_capacity();
  return pool.serving_base_instances() * pool.instance_capacity();
}

double ServiceLevelOf(const v1::Pool& pool) {
  return pool.policy().has_shortage_cost() ? 0 : pool.policy().service_level();
}

std::string TimeZoneOf(const v1::Pool& pool) {
  return pool.time_zone().empty() ? "UTC" : pool.time_zone();
}

}  // namespace shadow
