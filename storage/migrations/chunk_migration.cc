#include "storage/migrations/chunk_migration.h"

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "storage/samples/chunk_table.h"
#include "storage/samples/resolutions.h"
#include "storage/samples/timed_value.h"

namespace shadow::storage {
namespace {

constexpr char kRows[] = "SELECT time_ns, series, value FROM samples ORDER BY time_ns, series";
constexpr char kRemoveRows[] = "DELETE FROM samples";
constexpr char kPutRow[] = "INSERT INTO samples(time_ns, series, value) VALUES(?1, ?2, ?3)";

using Rest = std::unordered_map<int64_t, std::vector<TimedValue>>;  // By series.

absl::StatusOr<Rest> MakeChunks(Connection& metrics) {
  absl::StatusOr<ChunkTable> chunks = ChunkTable::Prepare(metrics, kResolutions[0].table);
  if (!chunks.ok()) return chunks.status();
  absl::StatusOr<Statement> rows = metrics.Prepare(kRows);
  if (!rows.ok()) return rows.status();
  Rest rest;
  while (true) {
    const absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return rest;
    const int64_t series = rows->Integer(1);
    std::vector<TimedValue>& samples = rest[series];
    samples.push_back({rows->Integer(0), rows->Real(2)});
    if (samples.size() < kChunkSamples) continue;
    if (absl::Status status = chunks->Add(series, samples); !status.ok()) return status;
    samples.clear();
  }
}

absl::Status PutRows(Connection& metrics, const Rest& rest) {
  absl::StatusOr<Statement> put = metrics.Prepare(kPutRow);
  if (!put.ok()) return put.status();
  for (const auto& [series, samples] : rest) {
    for (const TimedValue& sample : samples) {
      put->Bind(1, sample.time_ns);
      put->Bind(2, series);
      put->Bind(3, sample.value);
      if (absl::Status status = put->Run(); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ChunkOldSamples(Connection& metrics) {
  const absl::StatusOr<Rest> rest = MakeChunks(metrics);
  if (!rest.ok()) return rest.status();
  if (absl::Status status = metrics.Execute(kRemoveRows); !status.ok()) return status;
  return PutRows(metrics, *rest);
}

}  // namespace shadow::storage
