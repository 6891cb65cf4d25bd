#include "storage/samples/sample_reader.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "storage/samples/chunk_codec.h"

namespace shadow::storage {
namespace {

constexpr char kFindSeries[] = "SELECT id FROM series WHERE name = ?1";
// From the chunk on that a time after ?2 may be in.
constexpr char kReadChunks[] =
    "SELECT first_ns, last_ns, data FROM chunks WHERE series = ?1 AND first_ns >= ifnull("
    "(SELECT max(first_ns) FROM chunks WHERE series = ?1 AND first_ns <= ?2), ?2) "
    "AND first_ns <= ?3 ORDER BY first_ns";

// Gives on what lies in a range, in the order of time, of two sources.
class InOrder {
 public:
  InOrder(std::vector<TimedValue> hot, int64_t after_ns, int64_t until_ns,
          absl::FunctionRef<bool(const TimedValue&)> take)
      : hot_(std::move(hot)), after_ns_(after_ns), until_ns_(until_ns), take_(take) {}

  // False: no more is wanted. Of equal times the hot one counts, which came later.
  bool Take(const std::vector<TimedValue>& chunk) {
    for (const TimedValue& sample : chunk) {
      if (sample.time_ns <= after_ns_) continue;
      if (sample.time_ns > until_ns_) return true;
      while (next_ < hot_.size() && hot_[next_].time_ns < sample.time_ns) {
        if (!take_(hot_[next_++])) return false;
      }
      const bool replaced = next_ < hot_.size() && hot_[next_].time_ns == sample.time_ns;
      if (!replaced && !take_(sample)) return false;
    }
    return true;
  }

  void TakeRest() {
    while (next_ < hot_.size() && take_(hot_[next_])) ++next_;
  }

 private:
  const std::vector<TimedValue> hot_;
  size_t next_ = 0;
  const int64_t after_ns_;
  const int64_t until_ns_;
  absl::FunctionRef<bool(const TimedValue&)> take_;
};

}  // namespace

absl::StatusOr<SampleReader> SampleReader::Prepare(Connection& metrics, const HotSamples& hot) {
  SampleReader reader(hot);
  absl::Status status = metrics.PrepareInto(kFindSeries, reader.find_series_);
  status.Update(metrics.PrepareInto(kReadChunks, reader.read_chunks_));
  if (!status.ok()) return status;
  return reader;
}

absl::Status SampleReader::Read(const std::string& pool, int64_t after_ns, int64_t until_ns,
                                absl::FunctionRef<bool(const TimedValue&)> take,
                                absl::FunctionRef<absl::Status(absl::Status)> on_damage) {
  find_series_.BindText(1, pool);
  const absl::StatusOr<bool> found = find_series_.Next();
  if (!found.ok() || !*found) return found.status();
  const int64_t series = find_series_.Integer(0);
  find_series_.Reset();
  const int64_t oldest_ns = hot_->oldest_shown_ns();
  if (after_ns < oldest_ns) after_ns = oldest_ns - 1;
  // Before the chunks: see HotSamples.
  InOrder in_order(hot_->Copy(series, after_ns, until_ns), after_ns, until_ns, take);
  read_chunks_.Bind(1, series);
  read_chunks_.Bind(2, after_ns);
  read_chunks_.Bind(3, until_ns);
  while (true) {
    const absl::StatusOr<bool> row = read_chunks_.Next();
    if (!row.ok()) return row.status();
    if (!*row) break;
    if (read_chunks_.Integer(1) <= after_ns) continue;
    absl::StatusOr<std::vector<TimedValue>> chunk = Decode(pool);
    absl::Status status = chunk.ok() ? absl::OkStatus() : on_damage(chunk.status());
    if (status.ok() && (!chunk.ok() || in_order.Take(*chunk))) continue;
    read_chunks_.Reset();
    return status;
  }
  in_order.TakeRest();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TimedValue>> SampleReader::Decode(const std::string& pool) const {
  const int64_t first_ns = read_chunks_.Integer(0);
  const int64_t last_ns = read_chunks_.Integer(1);
  absl::StatusOr<std::vector<TimedValue>> samples = DecodeSamples(read_chunks_.Bytes(2));
  std::string why = "other times than its row";
  if (!samples.ok()) {
    why = std::string(samples.status().message());
  } else if (samples->front().time_ns == first_ns && samples->back().time_ns == last_ns) {
    return samples;
  }
  const auto text = [](int64_t time_ns) {
    return absl::FormatTime(absl::FromUnixNanos(time_ns), absl::UTCTimeZone());
  };
  return absl::DataLossError(absl::StrCat("metrics.db: the samples of ", pool, " from ",
                                          text(first_ns), " to ", text(last_ns),
                                          " are damaged: ", why));
}

}  // namespace shadow::storage
