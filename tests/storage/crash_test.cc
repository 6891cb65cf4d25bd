#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "storage/store.h"
#include "tests/storage/child_process.h"
#include "tests/storage/numbered_batches.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

// Commits numbered batches until it is killed, and reports each that was acknowledged.
int WriteForEver(const std::string& directory, int fd) {
  const auto store = Store::Open(directory, {});
  if (!store.ok()) return 1;
  int64_t number = (*store)->Load()->last_revision();
  std::atomic<bool> failed = false;
  while (!failed) {
    ++number;
    const auto report = [&failed, fd, number](const absl::Status& status) {
      if (!status.ok() || !ChildProcess::Report(fd, number)) failed = true;
    };
    if (number % 32 != 0) {
      (*store)->Commit(NumberedBatch(number), report);
      continue;
    }
    std::promise<void> done;  // Keeps the queue short.
    (*store)->Commit(NumberedBatch(number), [&](const absl::Status& status) {
      report(status);
      done.set_value();
    });
    done.get_future().wait();
  }
  return 1;
}

TEST_CASE("every acknowledged write survives kill -9") {
  const TempDirectory directory;
  std::set<int64_t> acknowledged;
  for (const size_t kill_after : {1U, 300U, 1001U}) {
    {
      ChildProcess child([&](int fd) { return WriteForEver(directory.path(), fd); });
      int64_t number = 0;
      size_t received = 0;
      while (received < kill_after && child.Receive(number)) {
        acknowledged.insert(number);
        ++received;
      }
      CHECK(received == kill_after);
      child.Kill();
      while (child.Receive(number)) acknowledged.insert(number);
    }
    const std::unique_ptr<Store> store = OpenStore(directory.path());
    const auto all_events = store->ReadEvents(0, "", 1'000'000);
    REQUIRE(all_events.ok());
    std::set<int64_t> events;
    for (const v1::Event& event : *all_events) events.insert(event.revision());
    const auto all_samples = store->ReadSamples(
        "pools/web", absl::InfinitePast(), absl::InfiniteFuture(), absl::ZeroDuration(), 1'000'000);
    REQUIRE(all_samples.ok());
    std::set<int64_t> samples;
    for (const v1::Sample& sample : *all_samples) samples.insert(sample.time().seconds());
    const auto contents = store->Load();
    REQUIRE(contents.ok());
    REQUIRE(!events.empty());
    CHECK(std::includes(events.begin(), events.end(), acknowledged.begin(), acknowledged.end()));
    CHECK(std::includes(samples.begin(), samples.end(), events.begin(), events.end()));
    // A batch is there as a whole or not at all.
    CHECK(contents->pools_size() == static_cast<int>(events.size()));
    CHECK(contents->requests_size() == static_cast<int>(events.size()));
    CHECK(contents->last_revision() == *events.rbegin());
    CHECK(contents->last_decision_id() == *events.rbegin());
  }
}

// Writes until the disk takes no more, then once more. Reports: how many batches were written, the
// code of the error, whether the next commit had the very same one.
int WriteUntilFull(const std::string& directory, int fd) {
  constexpr rlim_t kFileBytesMax = 512 << 10;
  constexpr int64_t kBatchesMax = 1000;
  const auto store = Store::Open(directory, {.error_patience = absl::Milliseconds(200)});
  if (!store.ok()) return 1;
  signal(SIGXFSZ, SIG_IGN);  // So that a write beyond the limit is an error.
  const rlimit limit = {kFileBytesMax, RLIM_INFINITY};
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
  int64_t written = 0;
  absl::Status first;
  while (first.ok() && written < kBatchesMax) {
    v1::WriteBatch batch;
    AddEvent(batch, written + 1, "pools/web")->set_message(std::string(50'000, 'x'));
    first = CommitAndWait(**store, std::move(batch));
    if (first.ok()) ++written;
  }
  v1::WriteBatch small;
  AddPool(small, "pools/late");
  const absl::Status second = CommitAndWait(**store, std::move(small));
  (*store)->Prune(absl::InfiniteFuture(), absl::InfiniteDuration());  // Neither hangs nor removes.
  return ChildProcess::Report(fd, written) && ChildProcess::Report(fd, first.raw_code()) &&
                 ChildProcess::Report(fd, first == second)
             ? 0
             : 1;
}

TEST_CASE("after a write that failed nothing is written any more, and nothing is lost") {
  const TempDirectory directory;
  int64_t written = 0;
  int64_t code = 0;
  int64_t same = 0;
  {
    ChildProcess child([&](int fd) { return WriteUntilFull(directory.path(), fd); });
    REQUIRE(child.Receive(written));
    REQUIRE(child.Receive(code));
    REQUIRE(child.Receive(same));
  }
  CHECK(written > 0);
  CHECK(code == static_cast<int64_t>(absl::StatusCode::kUnavailable));
  CHECK(same == 1);
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  CHECK(store->ReadEvents(0, "", 2000)->size() == static_cast<size_t>(written));
  CHECK(store->Load()->pools_size() == 0);
  v1::WriteBatch batch;
  AddEvent(batch, written + 1, "pools/web");
  CHECK(CommitAndWait(*store, batch).ok());
}

}  // namespace
}  // namespace shadow
