#include "storage/samples/sample_tables.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "storage/samples/resolutions.h"
#include "storage/tables.h"

namespace shadow::storage {
namespace {

constexpr char kPutSeries[] =
    "INSERT INTO series(name) VALUES(?1) "
    "ON CONFLICT(name) DO UPDATE SET name = excluded.name RETURNING id";
constexpr char kRetireSeries[] = "UPDATE series SET name = '#' || id WHERE name = ?1 RETURNING id";
constexpr char kPutSample[] =
    "INSERT OR REPLACE INTO samples(time_ns, series, value) VALUES(?1, ?2, ?3)";
constexpr char kRemoveRow[] = "DELETE FROM samples WHERE time_ns = ?1 AND series = ?2";
constexpr char kLoadRows[] =
    "SELECT time_ns, value, samples.series FROM samples "
    "CROSS JOIN series ON series.id = samples.series WHERE substr(series.name, 1, 1) != '#' "
    "ORDER BY time_ns, samples.series";

// From here on the samples of one pool in one commit are worth a chunk at once.
constexpr size_t kChunkAtOnceMin = kChunkSamples / 2;

struct Row {
  int64_t time_ns;
  int64_t series;
  double value;
};

// In the order of the table, so that each of its leaf pages is touched once.
std::vector<Row> RowsOf(const std::map<int64_t, std::vector<TimedValue>>& samples) {
  std::vector<Row> rows;
  for (const auto& [series, values] : samples) {
    for (const TimedValue& sample : values) rows.push_back({sample.time_ns, series, sample.value});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::tie(a.time_ns, a.series) < std::tie(b.time_ns, b.series);
  });
  return rows;
}

// By time; the last of equals stays.
void SortByTime(std::vector<TimedValue>& samples) {
  const auto earlier = [](const TimedValue& a, const TimedValue& b) {
    return a.time_ns < b.time_ns;
  };
  if (!std::is_sorted(samples.begin(), samples.end(), earlier)) {
    std::stable_sort(samples.begin(), samples.end(), earlier);
  }
  size_t kept = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i + 1 < samples.size() && samples[i + 1].time_ns == samples[i].time_ns) continue;
    samples[kept++] = samples[i];
  }
  samples.resize(kept);
}

}  // namespace

absl::StatusOr<SampleTables> SampleTables::Prepare(Connection& metrics, HotSamples& hot) {
  SampleTables tables(hot);
  absl::StatusOr<ChunkTable> chunks = ChunkTable::Prepare(metrics, kResolutions[0].table);
  if (!chunks.ok()) return chunks.status();
  tables.chunks_ = *std::move(chunks);
  absl::Status status = metrics.PrepareInto(kPutSeries, tables.put_series_);
  status.Update(metrics.PrepareInto(kRetireSeries, tables.retire_series_));
  status.Update(metrics.PrepareInto(kPutSample, tables.put_row_));
  status.Update(metrics.PrepareInto(kRemoveRow, tables.remove_row_));
  status.Update(tables.LoadHot(metrics));
  if (!status.ok()) return status;
  return tables;
}

absl::Status SampleTables::LoadHot(Connection& metrics) {
  Statement rows;
  if (absl::Status status = metrics.PrepareInto(kLoadRows, rows); !status.ok()) return status;
  Samples samples;
  while (true) {
    const absl::StatusOr<bool> row = rows.Next();
    if (!row.ok()) return row.status();
    if (!*row) break;
    samples[rows.Integer(2)].push_back({rows.Integer(0), rows.Real(1)});
  }
  put_ = std::move(samples);
  Committed();
  return absl::OkStatus();
}

absl::StatusOr<int64_t> SampleTables::SeriesOf(const std::string& pool) {
  const auto known = series_.find(pool);
  if (known != series_.end()) return known->second;
  put_series_.BindText(1, pool);
  const absl::StatusOr<bool> row = put_series_.Next();
  if (!row.ok()) return row.status();
  const int64_t id = put_series_.Integer(0);
  if (absl::Status status = put_series_.Run(); !status.ok()) return status;
  return series_[pool] = id;
}

absl::Status SampleTables::Retire(const std::string& pool) {
  series_.erase(pool);
  retire_series_.BindText(1, pool);
  const absl::StatusOr<bool> row = retire_series_.Next();
  if (!row.ok()) return row.status();
  if (!*row) return absl::OkStatus();
  dropped_.push_back(retire_series_.Integer(0));
  return retire_series_.Run();
}

absl::StatusOr<SampleTables::Samples> SampleTables::Collect(
    std::span<const v1::WriteBatch* const> batches) {
  Samples collected;
  for (const v1::WriteBatch* batch : batches) {
    for (const v1::SampleBatch& samples : batch->samples()) {
      const absl::StatusOr<int64_t> series = SeriesOf(samples.pool());
      if (!series.ok()) return series.status();
      std::vector<TimedValue>& values = collected[*series];
      for (const v1::Sample& sample : samples.samples()) {
        values.push_back({ToNanos(sample.time()), sample.value()});
      }
    }
    for (const std::string& name : batch->erase()) {
      if (!IsPoolName(name)) continue;
      if (absl::Status status = Retire(name); !status.ok()) return status;
    }
  }
  for (auto& [series, values] : collected) SortByTime(values);
  return collected;
}

absl::Status SampleTables::Write(std::span<const v1::WriteBatch* const> batches) {
  absl::StatusOr<Samples> few = Collect(batches);
  if (!few.ok()) return few.status();
  Samples moved;
  for (auto it = few->begin(); it != few->end();) {
    if (it->second.size() < kChunkAtOnceMin) {
      ++it;
      continue;
    }
    absl::Status status = AddToChunks(it->first, it->second, moved);
    if (!status.ok()) return status;
    it = few->erase(it);
  }
  if (absl::Status status = RemoveRows(moved); !status.ok()) return status;
  if (absl::Status status = PutRows(*few); !status.ok()) return status;
  // A pool that was erased in the same group needs no memory.
  for (const int64_t series : dropped_) few->erase(series);
  put_ = *std::move(few);
  return absl::OkStatus();
}

bool SampleTables::MakeOldDue(int64_t before_ns) {
  const std::vector<int64_t> old = hot_->SeriesBefore(before_ns);
  due_.insert(old.begin(), old.end());
  return !old.empty();
}

absl::Status SampleTables::Compact() {
  Samples moved;
  size_t rows = 0;
  // Neighbours by id are neighbours in each page of `samples`. Going round is fair.
  while (!due_.empty() && rows < kCompactionRowsMax) {
    auto next = due_.upper_bound(compacted_);
    if (next == due_.end()) next = due_.begin();
    compacted_ = *next;
    due_.erase(next);
    if (absl::Status status = AddToChunks(compacted_, {}, moved); !status.ok()) return status;
    rows += moved[compacted_].size();
  }
  return RemoveRows(moved);
}

absl::Status SampleTables::AddToChunks(int64_t series, std::span<const TimedValue> samples,
                                       Samples& moved) {
  std::vector<TimedValue> rows =
      hot_->Copy(series, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
  absl::Status status = chunks_.Add(series, Merge(rows, samples));
  moved[series] = std::move(rows);
  dropped_.push_back(series);
  return status;
}

absl::Status SampleTables::RemoveRows(const Samples& samples) {
  for (const Row& row : RowsOf(samples)) {
    remove_row_.Bind(1, row.time_ns);
    remove_row_.Bind(2, row.series);
    if (absl::Status status = remove_row_.Run(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SampleTables::PutRows(const Samples& samples) {
  for (const Row& row : RowsOf(samples)) {
    put_row_.Bind(1, row.time_ns);
    put_row_.Bind(2, row.series);
    put_row_.Bind(3, row.value);
    if (absl::Status status = put_row_.Run(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void SampleTables::Committed() {
  for (const int64_t series : dropped_) {
    hot_->Drop(series);
    due_.erase(series);
  }
  for (const auto& [series, samples] : put_) {
    hot_->Put(series, samples);
    if (hot_->Count(series) >= kChunkSamples) due_.insert(series);
  }
  dropped_.clear();
  put_.clear();
}

void SampleTables::RolledBack() {
  for (const int64_t series : dropped_) {
    if (hot_->Count(series) >= kChunkSamples) due_.insert(series);
  }
  dropped_.clear();
  put_.clear();
  series_.clear();  // Some ids may have been given in the transaction. They are looked up again.
}

}  // namespace shadow::storage
