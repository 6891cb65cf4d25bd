#include "storage/samples/roll_ups.h"

#include <algorithm>
#include <span>

#include "absl/strings/substitute.h"
#include "storage/samples/chunk_codec.h"

namespace shadow::storage {
namespace {

// The oldest first. The name of a pool that is gone begins with '#'.
constexpr char kFindExpired[] =
    "SELECT $0.series, substr(series.name, 1, 1) = '#' FROM $0 "
    "JOIN series ON series.id = $0.series WHERE last_ns < ?1 ORDER BY last_ns LIMIT 1";
constexpr char kReadOld[] =
    "SELECT id, last_ns, data FROM $0 WHERE series = ?1 AND first_ns < ?2 "
    "ORDER BY first_ns, id LIMIT ?3";
constexpr char kRemoveOld[] = "DELETE FROM $0 WHERE id = ?1";

// `samples` by time. A mean is kept as a float: half the bytes, and exact to seven digits.
std::vector<TimedValue> MeansOf(std::span<const TimedValue> samples, int64_t bucket_ns) {
  std::vector<TimedValue> means;
  for (size_t begin = 0; begin < samples.size();) {
    const int64_t bucket = BucketOf(samples[begin].time_ns, bucket_ns);
    double sum = 0;
    size_t end = begin;
    while (end < samples.size() && samples[end].time_ns < bucket + bucket_ns) {
      sum += samples[end++].value;
    }
    const auto mean = static_cast<float>(sum / static_cast<double>(end - begin));
    means.push_back({.time_ns = bucket, .value = mean});
    begin = end;
  }
  return means;
}

}  // namespace

absl::StatusOr<RollUps> RollUps::Prepare(Connection& metrics) {
  RollUps roll_ups;
  for (size_t i = 0; i < kResolutions.size(); ++i) {
    const char* table = kResolutions[i].table;
    Level& level = roll_ups.levels_[i];
    absl::StatusOr<ChunkTable> chunks = ChunkTable::Prepare(metrics, table);
    if (!chunks.ok()) return chunks.status();
    level.chunks = *std::move(chunks);
    absl::Status status = metrics.PrepareInto(absl::Substitute(kFindExpired, table), level.find);
    status.Update(metrics.PrepareInto(absl::Substitute(kReadOld, table), level.read));
    status.Update(metrics.PrepareInto(absl::Substitute(kRemoveOld, table), level.remove));
    if (!status.ok()) return status;
  }
  return roll_ups;
}

absl::StatusOr<size_t> RollUps::Expire(size_t resolution, int64_t before_ns) {
  Level& level = levels_[resolution];
  const size_t coarser = resolution + 1;
  const bool rolls_up = coarser < kResolutions.size();
  // Only whole buckets: what came later would have to be added to a mean.
  if (rolls_up) before_ns = BucketOf(before_ns, kResolutions[coarser].bucket_ns);
  level.find.Bind(1, before_ns);
  const absl::StatusOr<bool> found = level.find.Next();
  if (!found.ok()) return found.status();
  if (!*found) return 0;
  const int64_t series = level.find.Integer(0);
  const bool gone = level.find.Integer(1) != 0;
  level.find.Reset();

  const absl::StatusOr<Old> old = ReadOld(level, series, before_ns);
  if (!old.ok()) return old.status();
  const std::span<const TimedValue> samples = old->samples;
  // Where there are more chunks, the next one may begin in the bucket that the last one ends in.
  if (rolls_up && old->ids.size() == kRollUpChunksMax && !samples.empty()) {
    const int64_t open = BucketOf(samples.back().time_ns, kResolutions[coarser].bucket_ns);
    if (open > samples.front().time_ns) before_ns = std::min(before_ns, open);
  }
  const auto end = std::lower_bound(
      samples.begin(), samples.end(), before_ns,
      [](const TimedValue& sample, int64_t time) { return sample.time_ns < time; });
  const std::span<const TimedValue> expired(samples.begin(), end);
  absl::Status status;
  for (const int64_t id : old->ids) {
    level.remove.Bind(1, id);
    status.Update(level.remove.Run());
  }
  if (status.ok()) status = level.chunks.Add(series, samples.subspan(expired.size()));
  if (status.ok() && rolls_up && !gone) {
    status = levels_[coarser].chunks.Add(series, MeansOf(expired, kResolutions[coarser].bucket_ns));
  }
  if (!status.ok()) return status;
  return old->ids.size();
}

absl::StatusOr<RollUps::Old> RollUps::ReadOld(Level& level, int64_t series, int64_t before_ns) {
  level.read.Bind(1, series);
  level.read.Bind(2, before_ns);
  level.read.Bind(3, static_cast<int64_t>(kRollUpChunksMax));
  Old old;
  while (true) {
    const absl::StatusOr<bool> row = level.read.Next();
    if (!row.ok()) return row.status();
    if (!*row) return old;
    const absl::StatusOr<std::vector<TimedValue>> chunk = DecodeSamples(level.read.Bytes(2));
    // A damaged one cannot be divided.
    if (!chunk.ok() && level.read.Integer(1) >= before_ns) continue;
    old.ids.push_back(level.read.Integer(0));
    if (!chunk.ok()) continue;
    old.samples.insert(old.samples.end(), chunk->begin(), chunk->end());
  }
}

}  // namespace shadow::storage
