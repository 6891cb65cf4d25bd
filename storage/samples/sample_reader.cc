#include "storage/samples/sample_reader.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "absl/time/time.h"
#include "storage/samples/chunk_codec.h"

namespace shadow::storage {
namespace {

constexpr char kFindSeries[] = "SELECT id FROM series WHERE name = ?1";
// From the chunk on that a time after ?2 may be in.
constexpr char kReadChunks[] =
    "SELECT first_ns, last_ns, data FROM $0 WHERE series = ?1 AND first_ns >= ifnull("
    "(SELECT max(first_ns) FROM $0 WHERE series = ?1 AND first_ns <= ?2), ?2) "
    "AND first_ns <= ?3 ORDER BY first_ns";

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

absl::StatusOr<std::vector<TimedValue>> Decode(const std::string& pool, const Statement& row) {
  const int64_t first_ns = row.Integer(0);
  const int64_t last_ns = row.Integer(1);
  absl::StatusOr<std::vector<TimedValue>> samples = DecodeSamples(row.Bytes(2));
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

// One of the places that samples are in, read by time. Its statement, if any, is bound, and reset
// at the end.
class Source {
 public:
  explicit Source(std::vector<TimedValue> samples) : samples_(std::move(samples)) {}
  Source(Statement& chunks, const SampleReader::Range& range) : chunks_(&chunks), range_(range) {}
  Source(Source&& other) noexcept
      : samples_(std::move(other.samples_)),
        next_(other.next_),
        chunks_(std::exchange(other.chunks_, nullptr)),
        range_(other.range_) {}
  Source& operator=(Source&&) = delete;
  ~Source() {
    if (chunks_ != nullptr) chunks_->Reset();
  }

  int64_t time_ns() const { return next_ < samples_.size() ? samples_[next_].time_ns : kNever; }
  const TimedValue& sample() const { return samples_[next_]; }

  // Forgets the sample, and the chunk after its last one.
  void Skip() { ++next_; }

  // Makes the next sample, if there is one, the sample.
  absl::Status Fill(const std::string& pool,
                    absl::FunctionRef<absl::Status(absl::Status)> on_damage) {
    while (next_ >= samples_.size() && chunks_ != nullptr) {
      const absl::StatusOr<bool> row = chunks_->Next();
      if (!row.ok()) return row.status();
      if (!*row) {
        chunks_ = nullptr;
        break;
      }
      if (chunks_->Integer(1) <= range_.after_ns) continue;
      absl::StatusOr<std::vector<TimedValue>> chunk = Decode(pool, *chunks_);
      if (!chunk.ok()) {
        if (absl::Status status = on_damage(chunk.status()); !status.ok()) return status;
        continue;
      }
      samples_ = *std::move(chunk);
      const auto later = [](int64_t time, const TimedValue& sample) {
        return time < sample.time_ns;
      };
      const auto end = std::upper_bound(samples_.begin(), samples_.end(), range_.until_ns, later);
      samples_.erase(end, samples_.end());
      next_ = static_cast<size_t>(
          std::upper_bound(samples_.begin(), samples_.end(), range_.after_ns, later) -
          samples_.begin());
    }
    return absl::OkStatus();
  }

 private:
  std::vector<TimedValue> samples_;
  size_t next_ = 0;
  Statement* chunks_ = nullptr;  // Null: there are no more.
  SampleReader::Range range_;
};

}  // namespace

absl::StatusOr<SampleReader> SampleReader::Prepare(Connection& metrics, const HotSamples& hot) {
  SampleReader reader(metrics, hot);
  absl::Status status = metrics.PrepareInto(kFindSeries, reader.find_series_);
  for (size_t i = 0; i < kResolutions.size(); ++i) {
    status.Update(metrics.PrepareInto(absl::Substitute(kReadChunks, kResolutions[i].table),
                                      reader.read_chunks_[i]));
  }
  if (!status.ok()) return status;
  return reader;
}

absl::Status SampleReader::Read(const std::string& pool, const Range& range,
                                absl::FunctionRef<bool(const TimedValue&)> take,
                                absl::FunctionRef<absl::Status(absl::Status)> on_damage) {
  find_series_.BindText(1, pool);
  const absl::StatusOr<bool> found = find_series_.Next();
  if (!found.ok() || !*found) return found.status();
  const int64_t series = find_series_.Integer(0);
  find_series_.Reset();
  Transaction snapshot(*metrics_);
  std::vector<Source> sources;
  // Before the snapshot begins: see HotSamples.
  sources.emplace_back(hot_->Copy(series, range.after_ns, range.until_ns));
  // Of all tables at one moment: what is rolled up meanwhile is in one of them.
  if (absl::Status status = snapshot.Begin(Transaction::Kind::kRead); !status.ok()) return status;
  for (size_t i = 0; i < kResolutions.size(); ++i) {
    if (kResolutions[i].bucket_ns > range.coarsest_ns) break;
    Statement& chunks = read_chunks_[i];
    chunks.Bind(1, series);
    chunks.Bind(2, range.after_ns);
    chunks.Bind(3, range.until_ns);
    sources.emplace_back(chunks, range);
  }
  while (true) {
    Source* first = nullptr;
    int64_t others_ns = kNever;  // Until then it is the first's turn.
    for (Source& source : sources) {
      if (absl::Status status = source.Fill(pool, on_damage); !status.ok()) return status;
      if (first != nullptr && source.time_ns() == first->time_ns()) source.Skip();
      if (absl::Status status = source.Fill(pool, on_damage); !status.ok()) return status;
      if (first == nullptr || source.time_ns() < first->time_ns()) {
        if (first != nullptr) others_ns = std::min(others_ns, first->time_ns());
        first = &source;
      } else {
        others_ns = std::min(others_ns, source.time_ns());
      }
    }
    if (first->time_ns() == kNever) return absl::OkStatus();
    for (; first->time_ns() < others_ns; first->Skip()) {
      if (!take(first->sample())) return absl::OkStatus();
    }
  }
}

}  // namespace shadow::storage
