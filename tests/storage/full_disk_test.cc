// Writes to a full disk: the ballast, then patience; never a gap.
#include <atomic>
#include <optional>
#include <vector>

#include "storage/room/room.h"
#include "storage/store.h"
#include "storage/writer.h"
#include "tests/fakes/poll.h"
#include "tests/storage/small_disk.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

constexpr int64_t kBallastOfDisk = 4 << 20;

// A store on a small disk, which is full once it is open.
class FullStore {
 public:
  explicit FullStore(int64_t ballast_bytes, Store::Options options = {}) {
    disk.SetFree(ballast_bytes + 2 * Room::kAmpleBytes);
    room.emplace(directory.path(), ballast_bytes,
                 [this](const std::string&) { return disk.Free(); });
    options.room = &*room;
    store = OpenStore(directory.path(), options);
    REQUIRE(room->ballast_is_whole());
    disk.SetFree(0);
  }

  // Of the next daemon. Its ballast is what the last one left.
  absl::StatusOr<std::unique_ptr<Store>> Reopen(bool with_room,
                                                const std::string& boot_id = "boot") {
    store.reset();
    return Store::Open(directory.path(),
                       {.boot_id = boot_id, .room = with_room ? &*room : nullptr});
  }

  const TempDirectory directory;
  SmallDisk disk{directory.path()};
  std::optional<Room> room;
  std::unique_ptr<Store> store;
};

v1::WriteBatch Numbered(int64_t number, size_t bytes = 1000) {
  v1::WriteBatch batch;
  AddEvent(batch, number, "pools/web")->set_message(std::string(bytes, 'x'));
  batch.add_samples()->set_pool("pools/web");
  AddSample(*batch.mutable_samples(0), number, 1);
  return batch;
}

int64_t SamplesIn(Store& store) {
  const auto samples = store.ReadSamples("pools/web", absl::InfinitePast(), absl::InfiniteFuture(),
                                         absl::ZeroDuration(), 1'000'000);
  REQUIRE(samples.ok());
  return std::ssize(*samples);
}

// Commits 1 to `count`, none of which can be written, and waits until the writer says so.
std::vector<absl::StatusCode> Stall(FullStore& full, int count, std::atomic<int>& done,
                                    std::vector<int64_t>& order) {
  for (int64_t number = 1; number <= count; ++number) {
    full.store->Commit(Numbered(number), [&, number](const absl::Status& status) {
      if (status.ok()) order.push_back(number);
      ++done;
    });
  }
  CHECK(PollUntil(kPatience, [&] { return !full.store->Stalled().ok(); }));
  return {full.store->Stalled().code()};
}

TEST_CASE("on a full disk a commit takes of the ballast what it needs, and no more") {
  FullStore full(kBallastOfDisk);
  CHECK(CommitAndWait(*full.store, Numbered(1)).ok());
  CHECK(full.room->last().low);
  CHECK_FALSE(full.room->ballast_is_whole());
  CHECK(std::filesystem::file_size(full.directory.File("ballast")) >=
        kBallastOfDisk - 2 * storage::Ballast::kSliceBytes);
  CHECK(full.store->Stalled().ok());
  CHECK(SamplesIn(*full.store) == 1);
  CHECK(full.store->Load()->last_revision() == 1);
}

TEST_CASE("without ballast what is committed waits in its order until there is room") {
  FullStore full(0);
  std::atomic<int> done = 0;
  std::vector<int64_t> order;
  CHECK(Stall(full, 10, done, order).front() == absl::StatusCode::kResourceExhausted);
  CHECK(done == 0);
  PruneAt(*full.store, 1000);  // Does not wait for it.
  CHECK(full.store->Load()->last_revision() == 0);

  full.disk.SetFree(kBallastOfDisk);
  REQUIRE(PollUntil(kPatience, [&] { return done == 10; }));
  CHECK(order == std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  CHECK(full.store->Stalled().ok());
  CHECK(full.store->ReadEvents(0, "", 100)->size() == 10);
  CHECK(SamplesIn(*full.store) == 10);
}

TEST_CASE("a store that cannot write says since when, until it can") {
  std::atomic<int64_t> seconds = 100;
  FullStore full(0, {.now = [&] { return absl::FromUnixSeconds(seconds++); }});
  CHECK_FALSE(full.store->StalledSince().has_value());
  std::atomic<int> done = 0;
  std::vector<int64_t> order;
  Stall(full, 2, done, order);
  CHECK(full.store->StalledSince() == absl::FromUnixSeconds(100));
  CHECK(full.store->StalledSince() == absl::FromUnixSeconds(100));  // However often it has tried.
  full.disk.SetFree(kBallastOfDisk);
  REQUIRE(PollUntil(kPatience, [&] { return done == 2; }));
  CHECK_FALSE(full.store->StalledSince().has_value());
}

TEST_CASE("a store that ends on a full disk has all or nothing of what it did not acknowledge") {
  FullStore full(0);
  std::atomic<int> done = 0;
  std::vector<int64_t> order;
  Stall(full, 3, done, order);
  const bool told = GENERATE(true, false);
  if (told) {
    full.store->EndRetries();
    REQUIRE(PollUntil(kPatience, [&] { return done == 3; }));
    CHECK(absl::IsResourceExhausted(CommitAndWait(*full.store, Numbered(4))));
  }
  full.store.reset();  // Does not hang.
  CHECK(done == 3);
  CHECK(order.empty());
  full.disk.SetFree(kBallastOfDisk);
  const auto next = full.Reopen(true);
  REQUIRE(next.ok());
  CHECK((*next)->Load()->last_revision() == 0);
  CHECK(CommitAndWait(**next, Numbered(1)).ok());
}

TEST_CASE("a batch whose samples are written before the rest is whole in the end") {
  FullStore full(0);
  full.disk.SetFree(64 << 10);  // For the samples, not for the event.
  std::atomic<int> done = 0;
  full.store->Commit(Numbered(1, 1 << 20),
                     [&](const absl::Status& status) { done += status.ok(); });
  REQUIRE(PollUntil(kPatience, [&] { return !full.store->Stalled().ok(); }));
  CHECK(SamplesIn(*full.store) == 1);
  CHECK(done == 0);
  full.disk.SetFree(kBallastOfDisk);
  REQUIRE(PollUntil(kPatience, [&] { return done == 1; }));
  CHECK(SamplesIn(*full.store) == 1);
}

TEST_CASE("a pool's first samples that were rolled back can be written after all") {
  FullStore full(0);
  full.disk.SetFree(40 << 10);  // The series is given its id, then the rows find no room.
  v1::WriteBatch many;
  many.add_samples()->set_pool("pools/web");
  for (int64_t i = 0; i < 100'000; ++i) {
    AddSample(*many.mutable_samples(0), i, static_cast<double>(i * i % 7919) / 3);
  }
  std::atomic<int> done = 0;
  full.store->Commit(std::move(many), [&](const absl::Status& status) { done += status.ok(); });
  REQUIRE(PollUntil(kPatience, [&] { return !full.store->Stalled().ok(); }));
  CHECK(SamplesIn(*full.store) == 0);
  full.disk.SetFree(16 << 20);
  REQUIRE(PollUntil(kPatience, [&] { return done == 1; }));
  CHECK(SamplesIn(*full.store) == 100'000);
  CHECK(Query(full.directory.File("metrics.db"), "SELECT count(*) FROM series") == 1);
}

TEST_CASE("with low room the WAL begins anew early, so a little ballast lasts") {
  FullStore full(kBallastOfDisk);
  for (int64_t i = 1; i <= 200; ++i) {  // 10 MB in all.
    v1::PoolRecord record;
    record.mutable_pool()->set_name("pools/web");
    record.mutable_pool()->set_demand_unit(std::string(50'000, static_cast<char>('a' + i % 26)));
    v1::WriteBatch batch;
    AddPool(batch, record);
    REQUIRE(CommitAndWait(*full.store, std::move(batch)).ok());
  }
  CHECK(std::filesystem::file_size(full.directory.File("state.db-wal")) <
        2 * storage::kWalBytesLow);
  CHECK_FALSE(full.room->last().scarce);
}

TEST_CASE("with low room and a whole ballast the WAL gives back what it has grown to") {
  FullStore full(kBallastOfDisk);
  full.disk.SetFree(64 << 20);
  REQUIRE_FALSE(full.room->LookNow().low);
  REQUIRE(CommitAndWait(*full.store, Numbered(1, 4 << 20)).ok());
  const std::string wal = full.directory.File("state.db-wal");
  CHECK(std::filesystem::file_size(wal) > 4 << 20);
  full.disk.SetFree(Room::kLowBytes - 1);
  REQUIRE(full.room->LookNow().low);
  REQUIRE(CommitAndWait(*full.store, {}).ok());
  CHECK(PollUntil(kPatience, [&] {
    return std::filesystem::file_size(wal) < static_cast<uintmax_t>(storage::kWalBytesLow);
  }));
}

TEST_CASE("a start on a full disk takes of the ballast what it needs") {
  FullStore full(kBallastOfDisk);
  full.store.reset();
  full.disk.SetFree(0);  // What its WAL had is gone too.
  // After a boot, which it notes.
  const auto in_vain = full.Reopen(false, "next boot");
  CHECK(absl::IsResourceExhausted(in_vain.status()));
  CHECK(full.room->ballast_is_whole());
  const auto store = full.Reopen(true, "next boot");
  REQUIRE(store.ok());
  CHECK(full.room->last().low);
  CHECK(CommitAndWait(**store, Numbered(1)).ok());
}

TEST_CASE("without room and ballast a store opens where it was, and elsewhere says what it wants") {
  FullStore full(0);
  full.store.reset();
  full.disk.SetFree(0);
  CHECK(full.Reopen(true).ok());
  const absl::Status refused = full.Reopen(true, "next boot").status();
  CHECK(absl::IsResourceExhausted(refused));
  CHECK_THAT(std::string(refused.message()), Catch::Matchers::Contains(full.directory.path()) &&
                                                 Catch::Matchers::Contains("0.0 MiB free, wanted"));
  full.disk.SetFree(1 << 20);
  CHECK(full.Reopen(true, "next boot").ok());
}

TEST_CASE("an I/O error that passes fails nothing, and one that lasts ends the writing") {
  FullStore full(kBallastOfDisk, {.error_patience = absl::Milliseconds(200)});
  full.disk.SetFree(64 << 20);
  full.disk.FailWrites(2);
  CHECK(CommitAndWait(*full.store, Numbered(1)).ok());
  full.disk.FailWrites(1'000'000);
  const absl::Status lasts = CommitAndWait(*full.store, Numbered(2));
  CHECK(absl::IsUnavailable(lasts));
  full.disk.FailWrites(0);
  CHECK(CommitAndWait(*full.store, Numbered(3)) == lasts);
  CHECK(full.room->ballast_is_whole());
}

}  // namespace
}  // namespace shadow
