#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <utility>

#include "storage/store.h"
#include "storage/tables.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using SecondSeries = std::map<int64_t, double>;  // Unix seconds to value.

constexpr absl::Duration k5m = absl::Minutes(5);
constexpr absl::Duration k1h = absl::Hours(1);
const Store::Options kAges = {.sample_retention = absl::Hours(24),
                              .rollup_5m_retention = absl::Hours(72),
                              .rollup_1h_retention = absl::Hours(240)};
constexpr int64_t kDay = 86'400;

SecondSeries Read(Store& store, absl::Duration coarsest, int64_t after_s = -1) {
  const auto samples = store.ReadSamples("pools/a", absl::FromUnixSeconds(after_s),
                                         absl::InfiniteFuture(), coarsest, 10'000'000);
  INFO(samples.status());
  REQUIRE(samples.ok());
  SecondSeries series;
  int64_t last = std::numeric_limits<int64_t>::min();
  for (const v1::Sample& sample : *samples) {
    const int64_t second = sample.time().seconds();
    CHECK(second > last);
    series[last = second] = sample.value();
  }
  return series;
}

void Write(Store& store, const SecondSeries& series, const std::string& pool = "pools/a") {
  v1::WriteBatch batch;
  v1::SampleBatch& samples = *batch.add_samples();
  samples.set_pool(pool);
  for (const auto& [second, value] : series) AddSample(samples, second, value);
  REQUIRE(CommitAndWait(store, std::move(batch)).ok());
}

// The mean of each bucket of `seconds`, as a float.
SecondSeries Means(const SecondSeries& series, int64_t seconds) {
  std::map<int64_t, std::pair<double, int>> sums;
  for (const auto& [second, value] : series) {
    auto& [sum, count] = sums[second - (second % seconds + seconds) % seconds];
    sum += value;
    ++count;
  }
  SecondSeries means;
  for (const auto& [second, sum] : sums) {
    means[second] = static_cast<float>(sum.first / sum.second);
  }
  return means;
}

// Those of `series` in [from, until) seconds.
SecondSeries Cut(const SecondSeries& series, int64_t from, int64_t until) {
  return {series.lower_bound(from), series.lower_bound(until)};
}

TEST_CASE("samples that age become means of 5 minutes, of an hour, and go") {
  const int64_t step = GENERATE(10, 60, 97, 3600);
  CAPTURE(step);
  const TempDirectory directory;
  std::unique_ptr<Store> store = OpenStore(directory.path(), kAges);
  std::mt19937_64 random(static_cast<uint64_t>(step));
  SecondSeries all;
  int64_t now = 0;
  // What is written, and when is pruned, are as it happens.
  while (now < 14 * kDay) {
    SecondSeries some;
    const auto count = 1 + static_cast<int64_t>(random() % 500);
    for (int64_t i = 0; i < count; ++i, now += step) {
      some[now] = static_cast<double>(random() % 1000);
    }
    all.insert(some.begin(), some.end());
    Write(*store, some);
    if (random() % 3 == 0) PruneAt(*store, now);
    if (random() % 50 == 0) {
      store.reset();
      store = OpenStore(directory.path(), kAges);
    }
  }
  PruneAt(*store, now);

  // Chunks go as wholes, so a resolution may reach further back than it must.
  const SecondSeries raw = Read(*store, absl::ZeroDuration());
  const int64_t raw_from = raw.begin()->first;
  CHECK((raw == Cut(all, raw_from, now)));
  CHECK(raw_from <= now - kDay);
  CHECK(raw_from > now - kDay - 361 * step - 300);
  CHECK((Read(*store, k5m - absl::Nanoseconds(1)) == raw));

  const SecondSeries fine = Read(*store, k5m);
  const SecondSeries fine_means = Cut(fine, 0, raw_from);
  const int64_t fine_from = fine_means.begin()->first;
  CHECK((fine_means == Cut(Means(Cut(all, 0, raw_from), 300), fine_from, now)));
  CHECK((Cut(fine, raw_from, now) == raw));
  CHECK(fine_from <= now - 3 * kDay);
  CHECK(fine_from > now - 3 * kDay - 361 * std::max<int64_t>(step, 300) - 3600);

  const SecondSeries coarse = Read(*store, k1h);
  const SecondSeries coarse_means = Cut(coarse, 0, fine_from);
  CHECK((Cut(coarse, fine_from, now) == fine));
  // Means of means: they are those of all where each 5 minutes have as many samples.
  const SecondSeries of_fine = Means(Means(Cut(all, 0, fine_from), 300), 3600);
  CHECK(coarse_means.begin()->first <= now - 10 * kDay);
  const SecondSeries wanted = Cut(of_fine, coarse_means.begin()->first, now);
  REQUIRE(coarse_means.size() == wanted.size());
  for (const auto& [second, value] : wanted) {
    CHECK(coarse_means.at(second) == Approx(value).epsilon(1e-6));
  }

  // Any part of it is that part of the whole.
  for (int i = 0; i < 20; ++i) {
    const auto after = static_cast<int64_t>(random() % static_cast<uint64_t>(now));
    CHECK((Read(*store, k1h, after) == Cut(coarse, after + 1, now)));
  }
}

TEST_CASE("history of years is rolled up at once, and comes in beside what is there") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path(), kAges);
  // More chunks than one transaction takes.
  SecondSeries old;
  for (int64_t second = 0; second < 3 * kDay; ++second)
    old[second] = static_cast<double>(second % 7);
  Write(*store, old);
  const int64_t now = 5 * kDay + 300;
  PruneAt(*store, now);
  CHECK(Read(*store, absl::ZeroDuration()).empty());
  const SecondSeries fine = Read(*store, k5m);
  CHECK(fine.begin()->first == 2 * kDay);
  CHECK((fine == Means(Cut(old, 2 * kDay, 3 * kDay), 300)));
  CHECK(Cut(Read(*store, k1h), 0, 2 * kDay).size() == 48);

  // Older than what is rolled up already, and not yet pruned: shown in order.
  SecondSeries older;
  for (int64_t second = -kDay; second < 0; second += 60) older[second] = 1;
  Write(*store, older);
  const SecondSeries shown = Read(*store, k5m, -2 * kDay);
  CHECK((Cut(shown, -kDay, 0) == older));
  PruneAt(*store, now);
  CHECK((Cut(Read(*store, k1h, -2 * kDay), -kDay, 0) == Means(older, 3600)));
}

TEST_CASE("what cannot be read leaves no mean, and a pool that is gone neither") {
  const TempDirectory directory;
  SecondSeries series;
  for (int64_t second = 0; second < kDay; second += 60) series[second] = 1;
  {
    const std::unique_ptr<Store> store = OpenStore(directory.path(), kAges);
    Write(*store, series);
    Write(*store, series, "pools/gone");
    v1::WriteBatch batch;
    batch.add_erase("pools/gone");
    REQUIRE(CommitAndWait(*store, std::move(batch)).ok());
  }
  const std::string path = directory.File("metrics.db");
  RunSql(path, "UPDATE chunks SET data = zeroblob(40) WHERE first_ns = 14400000000000");
  const std::unique_ptr<Store> store = OpenStore(directory.path(), kAges);
  PruneAt(*store, 2 * kDay);
  const SecondSeries means = Read(*store, k5m);
  CHECK(means.size() == 288 - 48);
  CHECK(Cut(means, 14'400, 28'800).empty());
  CHECK(Query(path, "SELECT count(*) FROM chunks") == 0);
  CHECK(Query(path, "SELECT count(DISTINCT series) FROM chunks_5m") == 1);
}

TEST_CASE("a resolution that is kept no longer than a finer one has nothing of its own") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store =
      OpenStore(directory.path(), {.sample_retention = absl::Hours(24),
                                   .rollup_5m_retention = absl::Hours(1),
                                   .rollup_1h_retention = absl::Hours(1)});
  SecondSeries series;
  for (int64_t second = 0; second < 3 * kDay; second += 60) series[second] = 1;
  Write(*store, series);
  PruneAt(*store, 3 * kDay);
  CHECK((Read(*store, k1h) == Cut(series, 2 * kDay, 3 * kDay)));
}

}  // namespace
}  // namespace shadow
