#include "storage/samples/chunk_table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/substitute.h"
#include "storage/samples/chunk_codec.h"

namespace shadow::storage {
namespace {

// Where a damaged one begins at the same time, it is the older.
constexpr char kFindBefore[] =
    "SELECT id, last_ns, data FROM $0 WHERE series = ?1 AND first_ns <= ?2 "
    "ORDER BY first_ns DESC, id DESC LIMIT 1";
constexpr char kFindNext[] = "SELECT min(first_ns) FROM $0 WHERE series = ?1 AND first_ns > ?2";
constexpr char kRemove[] = "DELETE FROM $0 WHERE id = ?1";
constexpr char kInsert[] = "INSERT INTO $0(series, first_ns, last_ns, data) VALUES(?1, ?2, ?3, ?4)";

constexpr size_t kChunkSamplesMin = kChunkSamples / 2;
constexpr size_t kChunkSamplesMax = kChunkSamples + kChunkSamples / 2;

}  // namespace

absl::StatusOr<ChunkTable> ChunkTable::Prepare(Connection& metrics, const char* table) {
  ChunkTable chunks;
  absl::Status status =
      metrics.PrepareInto(absl::Substitute(kFindBefore, table), chunks.find_before_);
  status.Update(metrics.PrepareInto(absl::Substitute(kFindNext, table), chunks.find_next_));
  status.Update(metrics.PrepareInto(absl::Substitute(kRemove, table), chunks.remove_));
  status.Update(metrics.PrepareInto(absl::Substitute(kInsert, table), chunks.insert_));
  if (!status.ok()) return status;
  return chunks;
}

absl::Status ChunkTable::Add(int64_t series, std::span<const TimedValue> samples) {
  while (!samples.empty()) {
    const absl::StatusOr<std::span<const TimedValue>> together = UpToNextChunk(series, samples);
    if (!together.ok()) return together.status();
    const absl::StatusOr<Chunk> before = FindBefore(series, samples.front().time_ns);
    if (!before.ok()) return before.status();
    if (absl::Status status = AddAfter(*before, series, *together); !status.ok()) return status;
    samples = samples.subspan(together->size());
  }
  return absl::OkStatus();
}

absl::StatusOr<ChunkTable::Chunk> ChunkTable::FindBefore(int64_t series, int64_t time_ns) {
  find_before_.Bind(1, series);
  find_before_.Bind(2, time_ns);
  const absl::StatusOr<bool> row = find_before_.Next();
  if (!row.ok()) return row.status();
  if (!*row) return Chunk();
  Chunk chunk{.exists = true,
              .id = find_before_.Integer(0),
              .last_ns = find_before_.Integer(1),
              .data = std::string(find_before_.Bytes(2))};
  find_before_.Reset();
  return chunk;
}

absl::StatusOr<std::span<const TimedValue>> ChunkTable::UpToNextChunk(
    int64_t series, std::span<const TimedValue> samples) {
  find_next_.Bind(1, series);
  find_next_.Bind(2, samples.front().time_ns);
  const absl::StatusOr<bool> row = find_next_.Next();
  if (!row.ok()) return row.status();
  const bool exists = *row && !find_next_.IsNull(0);
  const int64_t next_ns = exists ? find_next_.Integer(0) : 0;
  find_next_.Reset();
  if (!exists) return samples;
  const auto end = std::lower_bound(
      samples.begin(), samples.end(), next_ns,
      [](const TimedValue& sample, int64_t time) { return sample.time_ns < time; });
  return samples.first(static_cast<size_t>(end - samples.begin()));
}

absl::Status ChunkTable::AddAfter(const Chunk& before, int64_t series,
                                  std::span<const TimedValue> samples) {
  if (!before.exists) return Insert(series, samples);
  const absl::StatusOr<std::vector<TimedValue>> known = DecodeSamples(before.data);
  if (!known.ok()) return Insert(series, samples);
  const bool apart = samples.front().time_ns > before.last_ns && known->size() >= kChunkSamplesMin;
  if (apart) return Insert(series, samples);
  remove_.Bind(1, before.id);
  if (absl::Status status = remove_.Run(); !status.ok()) return status;
  return Insert(series, Merge(*known, samples));
}

absl::Status ChunkTable::Insert(int64_t series, std::span<const TimedValue> samples) {
  const size_t chunks =
      samples.size() <= kChunkSamplesMax ? 1 : (samples.size() + kChunkSamples - 1) / kChunkSamples;
  for (size_t i = 0; i < chunks; ++i) {  // As equal as can be.
    const size_t begin = samples.size() * i / chunks;
    const size_t end = samples.size() * (i + 1) / chunks;
    const std::span<const TimedValue> part = samples.subspan(begin, end - begin);
    insert_.Bind(1, series);
    insert_.Bind(2, part.front().time_ns);
    insert_.Bind(3, part.back().time_ns);
    insert_.BindBlob(4, EncodeSamples(part));
    if (absl::Status status = insert_.Run(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace shadow::storage
