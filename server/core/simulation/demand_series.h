// Demand on a regular grid, as it is replayed. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/core/loop/world.h"
#include "shadow/v1/usage.pb.h"

namespace shadow::simulation {

struct DemandSeries {
  absl::Time begin;     // Start of the first step, a multiple of `step` since the Unix epoch.
  absl::Duration step;  // > 0
  std::vector<double> values;  // Mean of each step, demand unit; NaN: no sample.

  absl::Time TimeOf(size_t index) const { return begin + static_cast<int64_t>(index) * step; }
};

// Steps of one replay; of more, the latest count. 35 days in steps of a minute fit.
inline constexpr int64_t kStepsMax = 60'000;

// Gathers samples, oldest first and in any number of parts, into means of steps.
class SeriesBuilder {
 public:
  explicit SeriesBuilder(absl::Duration step) { series_.step = step; }

  // Times must not fall; values finite and not negative (CheckSeries).
  void Add(std::span<const v1::Sample> samples);

  // The series, its latest kStepsMax steps; empty if nothing was added.
  DemandSeries Build() &&;

 private:
  void Close();
  void CutOld();

  DemandSeries series_;
  OpenStep open_;
};

// kInvalidArgument, a FieldError of "samples[i]...": not finite or negative, without a time, or not
// after the one before it.
absl::Status CheckSeries(std::span<const v1::Sample> samples);

// The median distance of neighbours, rounded to whole seconds; zero for fewer than two.
absl::Duration MedianDistance(std::span<const v1::Sample> samples);

}  // namespace shadow::simulation
