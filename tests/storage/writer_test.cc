#include "storage/writer.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "storage/schema.h"
#include "storage/store.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

// Keeps the writer thread in a callback, so that what is committed meanwhile becomes one group.
class HeldWriter {
 public:
  explicit HeldWriter(Store& store) {
    std::promise<void> held;
    store.Commit({}, [&held, go_on = go_on_.get_future().share()](const absl::Status&) {
      held.set_value();
      go_on.wait();
    });
    held.get_future().wait();
  }
  ~HeldWriter() { Release(); }
  HeldWriter(const HeldWriter&) = delete;
  HeldWriter& operator=(const HeldWriter&) = delete;

  void Release() {
    if (!released_) go_on_.set_value();
    released_ = true;
  }

 private:
  std::promise<void> go_on_;
  bool released_ = false;
};

TEST_CASE("batches of several threads are applied in the order of each thread's calls") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  constexpr int kThreads = 4;
  constexpr int kBatches = 200;
  std::vector<std::vector<int>> done(kThreads);  // Written by the writer thread alone.
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i <= kBatches; ++i) {
        v1::PoolRecord record;
        record.mutable_pool()->set_name("pools/p" + std::to_string(t));
        record.mutable_pool()->set_managed_instances(i);
        v1::WriteBatch batch;
        AddPool(batch, record);
        store->Commit(std::move(batch), [&, t, i](const absl::Status& status) {
          if (!status.ok()) ++failures;
          done[static_cast<size_t>(t)].push_back(i);
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(CommitAndWait(*store, {}).ok());
  CHECK(failures == 0);
  for (const std::vector<int>& order : done) {
    REQUIRE(order.size() == kBatches);
    CHECK(std::is_sorted(order.begin(), order.end()));
  }
  const auto contents = store->Load();
  REQUIRE(contents.ok());
  REQUIRE(contents->pools_size() == kThreads);
  for (const auto& record : contents->pools()) CHECK(record.pool().managed_instances() == kBatches);
}

TEST_CASE("one bad batch of a group does not take the others with it") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  std::vector<absl::StatusCode> verdicts;
  {
    HeldWriter held(*store);
    const int64_t revisions[] = {1, 2, 1, 0, 3};  // The third is there already, the fourth is none.
    int pool = 0;
    for (const int64_t revision : revisions) {
      v1::WriteBatch batch;
      AddPool(batch, "pools/p" + std::to_string(++pool));
      AddEvent(batch, revision, "pools/web");
      store->Commit(std::move(batch),
                    [&](const absl::Status& status) { verdicts.push_back(status.code()); });
    }
  }
  REQUIRE(CommitAndWait(*store, {}).ok());
  const auto ok = absl::StatusCode::kOk;
  const auto bad = absl::StatusCode::kInvalidArgument;
  CHECK(verdicts == std::vector<absl::StatusCode>{ok, ok, bad, bad, ok});
  const auto events = store->ReadEvents(0, "", 10);
  REQUIRE(events.ok());
  CHECK(events->size() == 3);
  const auto contents = store->Load();
  REQUIRE(contents.ok());
  REQUIRE(contents->pools_size() == 3);
  CHECK(contents->pools(2).pool().name() == "pools/p5");
}

TEST_CASE("a batch without a callback is committed too") {
  const TempDirectory directory;
  {
    const std::unique_ptr<Store> store = OpenStore(directory.path());
    v1::WriteBatch batch;
    AddEvent(batch, 1, "pools/web");
    store->Commit(std::move(batch), nullptr);
    store->Commit({}, {});
  }  // What waits is written before the store is gone.
  CHECK(OpenStore(directory.path())->ReadEvents(0, "", 10)->size() == 1);
}

TEST_CASE("more batches than may wait are refused at once, and the others are written") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  std::atomic<size_t> written = 0;
  absl::Status refused;
  {
    HeldWriter held(*store);
    for (size_t i = 0; i < storage::kWaitingBatchesMax; ++i) {
      v1::WriteBatch batch;
      AddEvent(batch, static_cast<int64_t>(i) + 1, "pools/web");
      store->Commit(std::move(batch), [&](const absl::Status& status) { written += status.ok(); });
    }
    store->Commit({}, [&](absl::Status status) { refused = std::move(status); });
    CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
    CHECK(written == 0);
  }
  // The queue empties at once when the writer goes on; until then a commit may be refused.
  while (absl::IsResourceExhausted(CommitAndWait(*store, {}))) std::this_thread::yield();
  CHECK(written == storage::kWaitingBatchesMax);
  CHECK(store->Load()->last_revision() == static_cast<int64_t>(storage::kWaitingBatchesMax));
}

TEST_CASE("more samples than may wait are refused, but state still goes through") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  v1::WriteBatch samples;
  samples.add_samples()->set_pool("pools/web");
  for (int64_t i = 0; i < 100'000; ++i) AddSample(*samples.mutable_samples(0), i, 1);
  int refused = 0;
  absl::Status state = absl::UnknownError("not called");
  {
    HeldWriter held(*store);
    for (int64_t waiting = 0; waiting <= storage::kWaitingSamplesMax; waiting += 100'000) {
      store->Commit(samples, [&](const absl::Status& status) { refused += status.ok() ? 0 : 1; });
    }
    CHECK(refused == 1);
    v1::WriteBatch batch;
    AddEvent(batch, 1, "pools/web");
    store->Commit(std::move(batch), [&](absl::Status status) { state = std::move(status); });
  }
  REQUIRE(CommitAndWait(*store, {}).ok());
  CHECK(refused == 1);
  CHECK(state.ok());
}

TEST_CASE("readers see whole batches, in order, while others are written") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  constexpr int64_t kBatches = 500;
  std::atomic<bool> finished = false;
  std::atomic<int> errors = 0;
  std::atomic<int> reads = 0;
  constexpr int kReaders = 6;
  std::vector<std::thread> readers;
  readers.reserve(kReaders);
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      do {
        const auto events = store->ReadEvents(0, "", 10 * kBatches);
        const auto contents = store->Load();
        const auto samples = store->ReadSamples(
            "pools/web", absl::InfinitePast(), absl::InfiniteFuture(), absl::ZeroDuration(), 10000);
        if (!events.ok() || !contents.ok() || !samples.ok() || events->size() % 2 != 0) {
          ++errors;
          return;
        }
        int64_t expected = 0;
        for (const v1::Event& event : *events) errors += event.revision() != ++expected;
        errors += contents->last_revision() < expected;  // It was read later.
        ++reads;
      } while (!finished);
    });
  }
  int failures = 0;
  for (int64_t i = 0; i < kBatches; ++i) {
    v1::WriteBatch batch;
    AddEvent(batch, 2 * i + 1, "pools/web");
    AddEvent(batch, 2 * i + 2, "pools/web");
    batch.add_samples()->set_pool("pools/web");
    AddSample(*batch.mutable_samples(0), i, 1);
    failures += CommitAndWait(*store, std::move(batch)).ok() ? 0 : 1;
  }
  finished = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(failures == 0);
  CHECK(errors == 0);
  CHECK(reads >= kReaders);
}

TEST_CASE("the writer keeps the WAL near its limit") {
  const TempDirectory directory;
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  const std::string megabyte(1 << 20, 'x');
  uintmax_t largest = 0;
  for (int64_t i = 1; i <= 60; ++i) {
    v1::WriteBatch batch;
    AddEvent(batch, i, "pools/web")->set_message(megabyte);
    REQUIRE(CommitAndWait(*store, batch).ok());
    largest = std::max(largest, std::filesystem::file_size(directory.File("state.db-wal")));
  }
  CHECK(largest > static_cast<uintmax_t>(storage::kWalBytesMax) / 2);
  CHECK(largest < static_cast<uintmax_t>(storage::kWalBytesMax) * 3 / 2);
}

}  // namespace
}  // namespace shadow
