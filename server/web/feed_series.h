// What the live page is told of a pool's past and future, as JSON. Pure. Times are seconds since
// 1970.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/loop/status/snapshot.h"
#include "shadow/v1/event.pb.h"
#include "shadow/v1/usage.pb.h"

namespace shadow {

// Demand over one axis. `samples` ascend.
struct FeedChart {
  absl::Time start;                     // Of the axis.
  absl::Time now;                       // Where the forecast begins.
  std::vector<v1::Sample> samples;      // In [start, now].
  std::vector<v1::Decision> decisions;  // Newest first, back to one before `start`.
  absl::StatusOr<v1::Forecast> forecast;
};
// Demand as means of steps, the forecast, and the capacity that decisions asked for.
std::string ChartJson(const PoolSnapshot& pool, const FeedChart& chart);

// The last day's demand in a few points, and the last sample.
std::string SparkJson(const v1::Pool& pool, const FeedChart& chart);

// Both newest first.
std::string LogJson(const std::vector<v1::Decision>& decisions,
                    const std::vector<v1::Event>& events);

}  // namespace shadow
