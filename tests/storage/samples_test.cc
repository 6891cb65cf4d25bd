#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "storage/samples/chunk_table.h"
#include "storage/sqlite.h"
#include "storage/store.h"
#include "storage/tables.h"
#include "tests/storage/child_process.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using NanoSeries = std::map<int64_t, double>;  // Value by time_ns.
constexpr int64_t kSecondNs = 1'000'000'000;

NanoSeries ReadAll(Store& store, const std::string& pool) {
  const auto samples = store.ReadSamples(pool, absl::InfinitePast(), absl::InfiniteFuture(),
                                         absl::ZeroDuration(), 10'000'000);
  INFO(samples.status());
  REQUIRE(samples.ok());
  NanoSeries series;
  int64_t last_ns = std::numeric_limits<int64_t>::min();
  bool in_order = true;
  for (const v1::Sample& sample : *samples) {
    const int64_t time_ns = storage::ToNanos(sample.time());
    in_order = in_order && time_ns > last_ns;
    last_ns = time_ns;
    series[time_ns] = sample.value();
  }
  CHECK(in_order);
  return series;
}

// One value each `step_s` to each pool, in one batch.
v1::WriteBatch Ticks(const std::vector<std::string>& pools, int64_t first, int64_t count,
                     int64_t step_s = 1) {
  v1::WriteBatch batch;
  for (const std::string& pool : pools) {
    v1::SampleBatch& samples = *batch.add_samples();
    samples.set_pool(pool);
    for (int64_t i = first; i < first + count; ++i) {
      AddSample(samples, i * step_s, static_cast<double>(i % 100));
    }
  }
  return batch;
}

// A store and what should be in it.
class ModelTest {
 public:
  explicit ModelTest(uint64_t seed) : random_(seed) { Reopen(); }

  void Step() {
    switch (random_() % 12) {
      case 0:
        return Reopen();
      case 1:
        return Prune();
      case 2:
        return Erase();
      case 3:
        return CheckRange();
      default:
        return Commit();
    }
  }

  void CheckAll() {
    for (const char* pool : kPools) CHECK(Kept(ReadAll(*store_, pool)) == Kept(model_[pool]));
    std::map<std::string, Store::From> from;
    for (const char* pool : kPools) from[pool] = {absl::FromUnixNanos(expired_ns_ - 1), {}};
    std::map<std::string, NanoSeries> scanned;
    const auto damaged = store_->ScanSamples(
        from, absl::InfiniteFuture(), [&](const std::string& pool, const v1::Sample& sample) {
          scanned[pool][storage::ToNanos(sample.time())] = sample.value();
        });
    REQUIRE(damaged.ok());
    CHECK(damaged->empty());
    for (const char* pool : kPools) CHECK(scanned[pool] == Kept(model_[pool]));
  }

 private:
  static constexpr const char* kPools[] = {"pools/a", "pools/b", "pools/c"};
  static constexpr absl::Duration kRetention = absl::Seconds(3000);

  void Reopen() {
    store_.reset();
    store_ = OpenStore(directory_.path(), {.sample_retention = kRetention});
  }

  void Prune() {
    PruneAt(*store_, now_s_);
    expired_ns_ = std::max(expired_ns_, now_s_ * kSecondNs - absl::ToInt64Nanoseconds(kRetention));
    for (const char* pool : kPools) {  // Nothing is made up, also of what may be gone.
      for (const auto& [time_ns, value] : ReadAll(*store_, pool)) {
        CHECK(model_[pool].at(time_ns) == value);
      }
    }
  }

  void Erase() {
    if (random_() % 4 != 0) return;
    const char* pool = kPools[random_() % 3];
    v1::WriteBatch batch;
    batch.add_erase(pool);
    REQUIRE(CommitAndWait(*store_, batch).ok());
    model_[pool].clear();
  }

  // Live, late, again, far back, a few or many.
  void Commit() {
    v1::WriteBatch batch;
    for (const char* pool : kPools) {
      if (random_() % 3 == 0) continue;
      const size_t counts[] = {1, 1, 5, 60, 130, 700};
      const size_t count = counts[random_() % 6];
      const bool back = random_() % 4 == 0;
      int64_t second = back ? now_s_ - static_cast<int64_t>(random_() % 4000) : now_s_;
      const auto step = static_cast<int64_t>(random_() % 3);  // 0: all at once.
      v1::SampleBatch& samples = *batch.add_samples();
      samples.set_pool(pool);
      for (size_t i = 0; i < count; ++i, second += step) {
        const auto nanos = static_cast<int32_t>(random_() % 2 == 0 ? 0 : random_() % kSecondNs);
        const auto value = static_cast<double>(random_() % 1000) / (random_() % 5 == 0 ? 7 : 1);
        AddSample(samples, second, value, nanos);
        model_[pool][second * kSecondNs + nanos] = value;
      }
    }
    now_s_ += static_cast<int64_t>(random_() % 100);
    REQUIRE(CommitAndWait(*store_, std::move(batch)).ok());
  }

  void CheckRange() {
    const char* pool = kPools[random_() % 3];
    const auto any = [&] { return (now_s_ - static_cast<int64_t>(random_() % 5000)) * kSecondNs; };
    const int64_t after = std::max(any(), expired_ns_ - 1);
    const int64_t until = any();
    const auto limit = static_cast<int64_t>(random_() % 600);
    const auto samples = store_->ReadSamples(
        pool, absl::FromUnixNanos(after), absl::FromUnixNanos(until), absl::ZeroDuration(), limit);
    REQUIRE(samples.ok());
    const NanoSeries shown = Kept(model_[pool]);
    NanoSeries found;
    for (const v1::Sample& one : *samples) found[storage::ToNanos(one.time())] = one.value();
    NanoSeries wanted;
    for (auto it = shown.upper_bound(after); it != shown.end() && it->first <= until; ++it) {
      if (std::ssize(wanted) < limit) wanted.insert(*it);
    }
    CHECK(found == wanted);
    CHECK(found.size() == samples->size());
  }

  // What may not be gone.
  NanoSeries Kept(const NanoSeries& all) const { return {all.lower_bound(expired_ns_), all.end()}; }

  const TempDirectory directory_;
  std::mt19937_64 random_;
  std::unique_ptr<Store> store_;
  std::map<std::string, NanoSeries> model_;
  int64_t now_s_ = 1'000'000;
  int64_t expired_ns_ = 0;
};

TEST_CASE("whatever is written, late, again or erased, is read as a plain map would have it") {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    INFO(seed);
    ModelTest test(seed);
    for (int step = 0; step < 150; ++step) {
      test.Step();
      if (step % 30 == 29) test.CheckAll();
    }
  }
}

TEST_CASE("what comes sample by sample goes into chunks by itself") {
  const TempDirectory directory;
  const std::vector<std::string> pools = {"pools/a", "pools/b", "pools/c"};
  constexpr auto kTicks = static_cast<int64_t>(3 * storage::kChunkSamples + 5);
  {
    const std::unique_ptr<Store> store = OpenStore(directory.path());
    for (int64_t tick = 0; tick < kTicks; ++tick) {
      REQUIRE(CommitAndWait(*store, Ticks(pools, tick, 1)).ok());
    }
    for (const std::string& pool : pools) CHECK(std::ssize(ReadAll(*store, pool)) == kTicks);
  }
  const std::string path = directory.File("metrics.db");
  CHECK(Query(path, "SELECT count(*) FROM chunks") >= 6);
  CHECK(Query(path, "SELECT count(*) FROM chunks") <= 9);
  CHECK(Query(path, "SELECT count(*) FROM samples") <
        static_cast<int64_t>(3 * 2 * storage::kChunkSamples));
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  for (const std::string& pool : pools) CHECK(std::ssize(ReadAll(*store, pool)) == kTicks);
}

TEST_CASE("a read amid the making of chunks has every sample that was durable before it") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  constexpr int64_t kTicks = 3000;
  std::atomic<int64_t> durable = 0;
  std::atomic<int> failures = 0;
  std::thread reader([&] {
    while (durable < kTicks) {
      const int64_t least = durable;
      const auto samples = store->ReadSamples("pools/a", absl::UnixEpoch(), absl::InfiniteFuture(),
                                              absl::ZeroDuration(), 1'000'000);
      if (!samples.ok() || std::ssize(*samples) < least) {
        ++failures;
        return;
      }
      int64_t tick = 0;
      for (const v1::Sample& one : *samples) failures += one.time().seconds() == ++tick ? 0 : 1;
    }
  });
  for (int64_t tick = 1; tick <= kTicks; ++tick) {
    if (!CommitAndWait(*store, Ticks({"pools/a", "pools/b"}, tick, 1)).ok()) ++failures;
    durable = tick;
  }
  reader.join();
  CHECK(failures == 0);
}

TEST_CASE("a sample that comes late replaces or fills in, also where chunks are made already") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  REQUIRE(CommitAndWait(*store, Ticks({"pools/a"}, 0, 1000, 60)).ok());
  NanoSeries wanted = ReadAll(*store, "pools/a");
  const auto write = [&](const std::vector<std::pair<int64_t, double>>& samples) {
    v1::WriteBatch batch;
    batch.add_samples()->set_pool("pools/a");
    for (const auto& [second, value] : samples) {
      AddSample(*batch.mutable_samples(0), second, value);
      wanted[second * kSecondNs] = value;
    }
    REQUIRE(CommitAndWait(*store, batch).ok());
    CHECK(ReadAll(*store, "pools/a") == wanted);
  };
  write({{600, 5}, {601, 6}});
  write({{600, 7}});
  std::vector<std::pair<int64_t, double>> many;  // Before all, between all, after all.
  for (int64_t i = -300; i < 1300; ++i) many.emplace_back(i * 60 + 30, i);
  write(many);
  for (auto& [second, value] : many) value += 0.25;
  write(many);
}

TEST_CASE("a store of version 1 is migrated with every sample that it had") {
  const TempDirectory directory;
  const std::string path = directory.File("metrics.db");
  // As the release before wrote it: pool a with many, b with few, c erased.
  RunSql(path,
         "CREATE TABLE series(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
         "CREATE TABLE samples(time_ns INTEGER NOT NULL, series INTEGER NOT NULL, "
         "value REAL NOT NULL, PRIMARY KEY(time_ns, series)) STRICT, WITHOUT ROWID;"
         "PRAGMA application_id=0x5348444d; PRAGMA user_version=1;"
         "INSERT INTO series VALUES(1, 'pools/a'), (2, 'pools/b'), (3, '#3');"
         "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1999) "
         "INSERT INTO samples SELECT i * 60000000000, s.id, i * 0.3 + s.id FROM n, series s "
         "WHERE s.id != 2 OR i < 100;");
  for (int start = 0; start < 2; ++start) {
    const std::unique_ptr<Store> store = OpenStore(directory.path());
    const NanoSeries many = ReadAll(*store, "pools/a");
    REQUIRE(many.size() == 2000);
    for (int i = 0; i < 2000; ++i) REQUIRE(many.at(i * 60 * kSecondNs) == i * 0.3 + 1);
    CHECK(ReadAll(*store, "pools/b").size() == 100);
    CHECK(ReadAll(*store, "#3").empty() == false);
  }
  CHECK(Query(path, "PRAGMA user_version") == 3);
  CHECK(Query(path, "SELECT count(*) FROM chunks") == 16);
  CHECK(Query(path + ".v1.backup", "PRAGMA user_version") == 1);
  CHECK(Query(path + ".v1.backup", "SELECT count(*) FROM samples") == 4100);
}

TEST_CASE("a damaged chunk is named, hides itself alone, and takes what comes into its time") {
  const TempDirectory directory;
  { REQUIRE(CommitAndWait(*OpenStore(directory.path()), Ticks({"pools/a"}, 0, 960)).ok()); }
  const std::string path = directory.File("metrics.db");
  REQUIRE(Query(path, "SELECT count(*) FROM chunks") == 4);
  RunSql(path, "UPDATE chunks SET data = zeroblob(40) WHERE first_ns = 240000000000");
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  const auto count = [&](int64_t after_s, int64_t until_s) {
    return store->ReadSamples("pools/a", absl::FromUnixSeconds(after_s),
                              absl::FromUnixSeconds(until_s), absl::ZeroDuration(), 10'000);
  };
  const absl::Status damage = count(0, 2000).status();
  CHECK(damage.code() == absl::StatusCode::kDataLoss);
  CHECK_THAT(std::string(damage.message()),
             Catch::Contains("pools/a from 1970-01-01T00:04:00+00:00 to 1970-01-01T00:07:59"));
  CHECK(count(-1, 239)->size() == 240);
  CHECK(count(479, 2000)->size() == 480);

  int64_t scanned = 0;
  const auto damaged =
      store->ScanSamples({{"pools/a", {absl::InfinitePast(), {}}}}, absl::InfiniteFuture(),
                         [&](const std::string&, const v1::Sample&) { ++scanned; });
  REQUIRE(damaged.ok());
  REQUIRE(damaged->size() == 1);
  CHECK(damaged->front().name == "pools/a");
  CHECK(scanned == 720);

  // Again by hand: all of it, and some before.
  REQUIRE(CommitAndWait(*store, Ticks({"pools/a"}, 100, 400)).ok());
  scanned = 0;
  CHECK(store
            ->ScanSamples({{"pools/a", {absl::InfinitePast(), {}}}}, absl::InfiniteFuture(),
                          [&](const std::string&, const v1::Sample&) { ++scanned; })
            .ok());
  CHECK(scanned == 960);
  // It goes when a chunk of 5 minutes that all end by then goes.
  PruneAt(*store, absl::FromUnixSeconds(599) + Store::Options().sample_retention);
  CHECK(count(0, 2000).status().code() == absl::StatusCode::kDataLoss);
  PruneAt(*store, absl::FromUnixSeconds(600) + Store::Options().sample_retention);
  CHECK(count(0, 2000)->size() == 360);
}

constexpr int64_t kCrashPools = 20;

std::string CrashPool(int64_t number) { return "pools/p" + std::to_string(number); }

// A tick of all pools in each batch, and now and then a late one that goes into chunks at once.
int TickForEver(const std::string& directory, int fd) {
  const auto store = Store::Open(directory, {});
  if (!store.ok()) return 1;
  const auto written = (*store)->ReadSamples("pools/p0", absl::UnixEpoch(), absl::InfiniteFuture(),
                                             absl::ZeroDuration(), 10'000'000);
  if (!written.ok()) return 1;
  std::vector<std::string> pools;
  for (int64_t i = 0; i < kCrashPools; ++i) pools.push_back(CrashPool(i));
  for (int64_t tick = std::ssize(*written) + 1;; ++tick) {
    v1::WriteBatch batch = Ticks(pools, tick, 1);
    if (tick % 50 == 0) *batch.add_samples() = Ticks({"pools/late"}, -tick, 200).samples(0);
    if (!CommitAndWait(**store, std::move(batch)).ok()) return 1;
    if (!ChildProcess::Report(fd, tick)) return 1;
  }
}

TEST_CASE("a kill amid the making of chunks neither loses nor doubles a sample") {
  const TempDirectory directory;
  std::mt19937_64 random(4);
  int64_t acknowledged = 0;
  for (int round = 0; round < 12; ++round) {
    {
      ChildProcess child([&](int fd) { return TickForEver(directory.path(), fd); });
      const auto last = acknowledged + 200 + static_cast<int64_t>(random() % 100);
      while (acknowledged < last && child.Receive(acknowledged)) {
      }
      child.Kill();
      while (child.Receive(acknowledged)) {
      }
    }
    const std::unique_ptr<Store> store = OpenStore(directory.path());
    for (int64_t i = 0; i < kCrashPools; ++i) {
      const NanoSeries series = ReadAll(*store, CrashPool(i));
      const int64_t ticks = std::ssize(series);
      CHECK(ticks >= acknowledged);
      CHECK(ticks <= acknowledged + 1);
      bool whole = true;
      for (int64_t tick = 1; tick <= ticks; ++tick) {
        const auto found = series.find(tick * kSecondNs);
        whole = whole && found != series.end() && found->second == static_cast<double>(tick % 100);
      }
      CHECK(whole);
    }
    CHECK(ReadAll(*store, "pools/late").size() >= 200);
  }
  CHECK(Query(directory.File("metrics.db"), "SELECT count(*) FROM chunks") >= 12 * kCrashPools / 2);
}

}  // namespace
}  // namespace shadow
