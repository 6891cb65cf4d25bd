#include "server/core/simulation/demand_series.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/loop/demand.h"
#include "server/core/time_proto.h"

namespace shadow::simulation {

void SeriesBuilder::Close() {
  if (open_.count == 0) return;
  const OpenStep closed = std::exchange(open_, {});
  if (series_.values.empty()) series_.begin = closed.start;
  const int64_t at = (closed.start - series_.begin) / series_.step;
  if (at - static_cast<int64_t>(series_.values.size()) >= kStepsMax) {  // A gap that hides it all.
    series_.values.clear();
    series_.begin = closed.start;
  }
  const auto index = static_cast<size_t>((closed.start - series_.begin) / series_.step);
  series_.values.resize(index + 1, std::numeric_limits<double>::quiet_NaN());
  series_.values[index] = closed.Mean();
  if (series_.values.size() >= 2 * kStepsMax) CutOld();
}

void SeriesBuilder::CutOld() {
  auto& values = series_.values;
  if (values.size() <= kStepsMax) return;
  const auto excess = static_cast<int64_t>(values.size()) - kStepsMax;
  values.erase(values.begin(), values.begin() + excess);
  series_.begin += excess * series_.step;
}

void SeriesBuilder::Add(std::span<const v1::Sample> samples) {
  for (const v1::Sample& sample : samples) {
    const absl::Time start = StepStart(FromProto(sample.time()), series_.step);
    if (start != open_.start) Close();
    open_.Add(start, sample.value());
  }
}

DemandSeries SeriesBuilder::Build() && {
  Close();
  CutOld();
  return std::move(series_);
}

absl::Status CheckSeries(std::span<const v1::Sample> samples) {
  absl::Time last = absl::InfinitePast();
  for (size_t i = 0; i < samples.size(); ++i) {
    const std::string field = absl::StrCat("samples[", i, "]");
    const v1::Sample& sample = samples[i];
    if (!std::isfinite(sample.value()) || sample.value() < 0) {
      return FieldError(
          absl::StrCat(field, ".value"),
          absl::StrCat(sample.value(), " is not a demand; a finite number of at least 0 is"));
    }
    if (!sample.has_time() || FromProto(sample.time()) <= last) {
      return FieldError(absl::StrCat(field, ".time"),
                        "is missing or not after that of the sample before it");
    }
    last = FromProto(sample.time());
  }
  return absl::OkStatus();
}

absl::Duration MedianDistance(std::span<const v1::Sample> samples) {
  if (samples.size() < 2) return absl::ZeroDuration();
  std::vector<absl::Duration> distances;
  for (size_t i = 1; i < samples.size(); ++i) {
    distances.push_back(FromProto(samples[i].time()) - FromProto(samples[i - 1].time()));
  }
  const auto middle = distances.begin() + static_cast<int64_t>(distances.size() / 2);
  std::nth_element(distances.begin(), middle, distances.end());
  return absl::Trunc(*middle + absl::Milliseconds(500), absl::Seconds(1));
}

}  // namespace shadow::simulation
