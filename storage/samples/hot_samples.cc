#include "storage/samples/hot_samples.h"

#include <algorithm>

namespace shadow::storage {
namespace {

// The first that is later than `time_ns`.
auto After(const std::vector<TimedValue>& samples, int64_t time_ns) {
  return std::upper_bound(
      samples.begin(), samples.end(), time_ns,
      [](int64_t time, const TimedValue& sample) { return time < sample.time_ns; });
}

}  // namespace

void HotSamples::Put(int64_t series, std::span<const TimedValue> samples) {
  if (samples.empty()) return;
  const std::lock_guard lock(mutex_);
  std::vector<TimedValue>& known = series_[series];
  if (known.empty() || known.back().time_ns < samples.front().time_ns) {
    known.insert(known.end(), samples.begin(), samples.end());
  } else {
    known = Merge(known, samples);
  }
}

void HotSamples::Drop(int64_t series) {
  const std::lock_guard lock(mutex_);
  series_.erase(series);
}

std::vector<int64_t> HotSamples::SeriesBefore(int64_t time_ns) const {
  const std::lock_guard lock(mutex_);
  std::vector<int64_t> found;
  for (const auto& [series, samples] : series_) {
    if (!samples.empty() && samples.front().time_ns < time_ns) found.push_back(series);
  }
  return found;
}

size_t HotSamples::Count(int64_t series) const {
  const std::lock_guard lock(mutex_);
  const auto found = series_.find(series);
  return found == series_.end() ? 0 : found->second.size();
}

std::vector<TimedValue> HotSamples::Copy(int64_t series, int64_t after_ns, int64_t until_ns) const {
  const std::lock_guard lock(mutex_);
  const auto found = series_.find(series);
  if (found == series_.end() || after_ns >= until_ns) return {};
  return {After(found->second, after_ns), After(found->second, until_ns)};
}

}  // namespace shadow::storage
