#include <cmath>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/spec.h"
#include "server/core/time_proto.h"
#include "server/evaluation.h"
#include "storage/store.h"
#include "tests/bench/daemon_benches.h"

namespace shadow::bench {
namespace {

constexpr absl::Duration kStep = absl::Minutes(1);
constexpr absl::Duration kDay = absl::Hours(24);
constexpr int kTicks = 500;  // Of all pools, after the days.
constexpr int kReads = 20;
constexpr int kEvaluations = 3;

absl::Time Begin() { return absl::FromUnixSeconds(1'790'000'000 / 86'400 * 86'400); }

std::string PoolName(int index) { return absl::StrCat("pools/web-", index); }

// A day's curve in whole requests, with noise.
double DemandAt(absl::Time time, int pool) {
  const double days = absl::ToDoubleHours(time - Begin()) / 24 + pool * 0.01;
  const double noise = std::sin(static_cast<double>(absl::ToUnixSeconds(time) % 9973) + pool);
  return std::round(150 + 100 * std::sin(2 * 3.14159265 * days) + 8 * noise);
}

void AddSamples(v1::WriteBatch& batch, int pool, absl::Time begin, absl::Time end) {
  v1::SampleBatch& samples = *batch.add_samples();
  samples.set_pool(PoolName(pool));
  for (absl::Time time = begin; time < end; time += kStep) {
    v1::Sample& sample = *samples.add_samples();
    *sample.mutable_time() = ToProto(time);
    sample.set_value(DemandAt(time, pool));
  }
}

// Until it is durable. Seconds.
double Commit(Store& store, v1::WriteBatch batch) {
  std::promise<absl::Status> durable;
  const auto begin = Steady::now();
  store.Commit(std::move(batch), [&](const absl::Status& status) { durable.set_value(status); });
  const absl::Status status = durable.get_future().get();
  if (!status.ok()) throw std::runtime_error(status.ToString());
  return MsSince(begin) / 1e3;
}

// A store of its own, its pools with `days` of history and then some minutes tick by tick.
class FilledStore {
 public:
  explicit FilledStore(const Amount& amount) : pools_(amount.pools), days_(amount.days) {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "shadowd_samples_XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    directory_ = pattern;
    Open();
    Fill();
  }
  ~FilledStore() {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  FilledStore(const FilledStore&) = delete;
  FilledStore& operator=(const FilledStore&) = delete;

  Store& store() { return *store_; }
  absl::Time end() const { return days_end() + kTicks * kStep; }
  absl::Time days_end() const { return Begin() + days_ * kDay; }
  double samples_per_second() const { return samples_per_second_; }
  double ticks_per_second() const { return ticks_per_second_; }

  double BytesPerSample() {
    store_.reset();  // All is in the file then.
    const auto bytes = std::filesystem::file_size(directory_ + "/metrics.db");
    Open();
    const double samples = pools_ * absl::FDivDuration(end() - Begin(), kStep);
    return static_cast<double>(bytes) / samples;
  }

 private:
  void Open() { store_ = Must(Store::Open(directory_, {})); }

  // Day by day, as if all lived through them; then tick by tick.
  void Fill() {
    double seconds = 0;
    constexpr int kPoolsAtOnce = 50;
    for (int day = 0; day < days_; ++day) {
      for (int first = 0; first < pools_; first += kPoolsAtOnce) {
        v1::WriteBatch batch;
        for (int pool = first; pool < std::min(pools_, first + kPoolsAtOnce); ++pool) {
          AddSamples(batch, pool, Begin() + day * kDay, Begin() + (day + 1) * kDay);
        }
        seconds += Commit(*store_, std::move(batch));
      }
    }
    samples_per_second_ = pools_ * days_ * absl::FDivDuration(kDay, kStep) / seconds;
    double tick_seconds = 0;
    for (absl::Time time = days_end(); time < end(); time += kStep) {
      v1::WriteBatch batch;
      for (int pool = 0; pool < pools_; ++pool) AddSamples(batch, pool, time, time + kStep);
      tick_seconds += Commit(*store_, std::move(batch));
    }
    ticks_per_second_ = pools_ * kTicks / tick_seconds;
  }

  const int pools_;
  const int days_;
  std::string directory_;
  std::unique_ptr<Store> store_;
  double samples_per_second_ = 0;
  double ticks_per_second_ = 0;
};

// Milliseconds to read one pool's samples in (after, until], each time of another pool.
std::vector<double> ReadMs(FilledStore& filled, int pools, absl::Time after, absl::Time until) {
  std::vector<double> ms;
  for (int i = 0; i < kReads; ++i) {
    const auto begin = Steady::now();
    const auto samples = Must(filled.store().ReadSamples(PoolName(i * 37 % pools), after, until,
                                                         absl::ZeroDuration(), 1'000'000));
    ms.push_back(MsSince(begin));
    if (std::ssize(samples) != (until - after) / kStep) throw std::runtime_error("samples lack");
  }
  return ms;
}

// Of one pool each, at the end of what is stored.
struct EvaluationMs {
  std::vector<double> read;   // Its samples, as a series.
  std::vector<double> whole;  // From the request to the answer.
};

EvaluationMs MeasureEvaluations(FilledStore& filled, int pools) {
  const auto never = [] { return false; };
  EvaluationMs ms;
  for (int i = 0; i < kEvaluations; ++i) {
    v1::Pool pool = PushedPool(absl::StrCat("web-", i * 37 % pools));
    *pool.mutable_step() = ToProto(kStep);
    pool = Must(CompilePool(pool)).pool;
    auto begin = Steady::now();
    Must(ReadSeries(filled.store(), pool.name(), kStep, filled.end(), never));
    ms.read.push_back(MsSince(begin));
    begin = Steady::now();
    Must(Evaluate(filled.store(), {}, pool, filled.end(), never));
    ms.whole.push_back(MsSince(begin));
  }
  return ms;
}

// As a restart does after a kill: the last hour of all pools. Seconds.
double ScanSeconds(FilledStore& filled, int pools) {
  std::map<std::string, Store::From> from;
  for (int i = 0; i < pools; ++i) {
    from[PoolName(i)] = {filled.end() - absl::Hours(1) - kStep, absl::ZeroDuration()};
  }
  int64_t samples = 0;
  const auto begin = Steady::now();
  const auto scanned = filled.store().ScanSamples(
      from, absl::InfiniteFuture(), [&](const std::string&, const v1::Sample&) { ++samples; });
  const double seconds = MsSince(begin) / 1e3;
  if (!scanned.ok() || samples != int64_t{60} * pools) throw std::runtime_error("samples lack");
  return seconds;
}

}  // namespace

std::vector<Row> MeasureSamples(const Amount& amount) {
  FilledStore filled(amount);
  const std::string of = absl::StrCat(" of ", amount.pools, " pools");
  std::vector<Row> rows;
  rows.push_back(RowOf("store, days of one pool at a time", "samples/s",
                       {filled.samples_per_second()}, ">= 500000"));
  rows.push_back(RowOf("store, a sample of each" + of, "samples/s", {filled.ticks_per_second()}));
  rows.push_back(RowOf("on disk", "bytes", {filled.BytesPerSample()}));
  const absl::Time last = filled.days_end() - kStep;
  rows.push_back(RowOf(absl::StrCat("read ", amount.days, " days of one", of), "ms",
                       ReadMs(filled, amount.pools, Begin() - kStep, last)));
  rows.push_back(RowOf(
      "read the last hour of one" + of, "ms",
      ReadMs(filled, amount.pools, filled.end() - absl::Hours(1) - kStep, filled.end() - kStep)));
  rows.push_back(
      RowOf("read the last hour of each" + of, "s", {ScanSeconds(filled, amount.pools)}));
  const EvaluationMs evaluation = MeasureEvaluations(filled, amount.pools);
  rows.push_back(RowOf("evaluate one" + of + ": read", "ms", evaluation.read));
  rows.push_back(RowOf("evaluate one" + of + ": in all", "ms", evaluation.whole));
  return rows;
}

}  // namespace shadow::bench
