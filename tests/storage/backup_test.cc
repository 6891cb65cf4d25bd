#include "storage/backup.h"

#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "storage/tar.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using Catch::Matchers::Contains;

const auto kNever = [] { return false; };

// `revisions` events, and as many samples.
v1::WriteBatch Batch(int64_t first, int64_t revisions) {
  v1::WriteBatch batch;
  v1::SampleBatch* samples = batch.add_samples();
  samples->set_pool("pools/web");
  for (int64_t i = first; i < first + revisions; ++i) {
    AddEvent(batch, i, "pools/web")->set_message(std::string(100, 'm'));
    AddSample(*samples, i, static_cast<double>(i));
  }
  return batch;
}

std::string ArchiveOf(const std::string& directory, size_t piece_bytes = 1 << 16) {
  const auto backup = Backup::Make(directory, kNever);
  INFO(backup.status());
  REQUIRE(backup.ok());
  std::string archive;
  while (true) {
    const auto piece = (*backup)->Read(piece_bytes);
    REQUIRE(piece.ok());
    if (piece->empty()) return archive;
    archive += *piece;
  }
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  REQUIRE(file.good());
}

size_t Samples(Store& store) {
  const auto samples = store.ReadSamples("pools/web", absl::InfinitePast(), absl::InfiniteFuture(),
                                         absl::ZeroDuration(), 1'000'000);
  REQUIRE(samples.ok());
  return samples->size();
}

TEST_CASE("a backup of a store in use holds what was committed, and is restored whole") {
  const TempDirectory from;
  const std::unique_ptr<Store> store = OpenStore(from.path());
  REQUIRE(CommitAndWait(*store, Batch(1, 2000)).ok());
  const v1::StoreContents before = *store->Load();
  const std::string archive = ArchiveOf(from.path());
  CHECK_FALSE(std::filesystem::exists(from.File("state.db.copy")));

  const TempDirectory to;
  WriteFile(to.File("backup.tar"), archive);
  REQUIRE(RestoreBackup(to.File("backup.tar"), to.path()).ok());
  struct stat info {};
  REQUIRE(stat(to.File("state.db").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  const std::unique_ptr<Store> restored = OpenStore(to.path());
  const auto contents = restored->Load();
  REQUIRE(contents.ok());
  CHECK(contents->last_revision() == 2000);
  CHECK(contents->store_id() == before.store_id());
  CHECK(contents->epoch() != before.epoch());
  REQUIRE(contents->past_epochs_size() == 1);
  CHECK(contents->past_epochs(0).epoch() == before.epoch());
  CHECK(contents->past_epochs(0).last_revision() == 2000);
  CHECK(Samples(*restored) == 2000);
  CHECK(CommitAndWait(*restored, Batch(2001, 10)).ok());
}

TEST_CASE("a backup that is made during commits is a moment of the store") {
  const TempDirectory from;
  const std::unique_ptr<Store> store = OpenStore(from.path());
  REQUIRE(CommitAndWait(*store, Batch(1, 1000)).ok());
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int64_t next = 1001; !stop; next += 10) {
      if (!CommitAndWait(*store, Batch(next, 10)).ok()) return;
    }
  });
  const std::string archive = ArchiveOf(from.path());
  stop = true;
  writer.join();
  const TempDirectory to;
  WriteFile(to.File("backup.tar"), archive);
  REQUIRE(RestoreBackup(to.File("backup.tar"), to.path()).ok());
  const std::unique_ptr<Store> restored = OpenStore(to.path());
  const int64_t revision = restored->Load()->last_revision();
  CHECK(revision >= 1000);
  CHECK(restored->ReadEvents(0, "", 1'000'000)->size() == static_cast<size_t>(revision));
  CHECK(Samples(*restored) >= static_cast<size_t>(revision));
}

TEST_CASE("pieces of any size make the same archive, which ends on a block") {
  const TempDirectory from;
  OpenStore(from.path());
  const std::string archive = ArchiveOf(from.path());
  CHECK(ArchiveOf(from.path(), 1000) == archive);
  CHECK(archive.size() % storage::kTarBlockBytes == 0);
}

TEST_CASE("a backup that is given up, or has no room, leaves nothing behind") {
  const TempDirectory from;
  const std::unique_ptr<Store> store = OpenStore(from.path());
  REQUIRE(CommitAndWait(*store, Batch(1, 5000)).ok());
  CHECK(absl::IsCancelled(Backup::Make(from.path(), [] { return true; }).status()));
  CHECK_FALSE(std::filesystem::exists(from.File("state.db.copy")));
  CHECK(CommitAndWait(*store, Batch(5001, 1)).ok());
}

TEST_CASE("what is no whole backup is refused, and changes nothing") {
  const TempDirectory from;
  REQUIRE(CommitAndWait(*OpenStore(from.path()), Batch(1, 3000)).ok());
  std::string archive = ArchiveOf(from.path());
  SECTION("the end is missing") { archive.resize(archive.size() - 1); }
  SECTION("half of it is missing") { archive.resize(archive.size() / 2); }
  SECTION("nothing is there") { archive.clear(); }
  SECTION("it is something else") { archive = std::string(100'000, 'x'); }
  SECTION("a page is damaged") { archive.replace(512 + 4096, 4096, std::string(4096, '\xff')); }
  SECTION("a header is damaged") { archive[130] = '1'; }
  SECTION("a file has another name") {
    archive.replace(0, 512, storage::TarHeader({.name = "other.db", .bytes = 4096}));
  }
  SECTION("more follows") { archive.back() = 'x'; }
  const TempDirectory to;
  WriteFile(to.File("backup.tar"), archive);
  const absl::Status status = RestoreBackup(to.File("backup.tar"), to.path());
  INFO(status);
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()), Contains(to.File("backup.tar")));
  std::filesystem::remove(to.File("backup.tar"));
  CHECK(std::filesystem::is_empty(to.path()));
}

TEST_CASE("a backup of a newer schema is refused") {
  const TempDirectory from;
  OpenStore(from.path());
  RunSql(from.File(GENERATE("state.db", "metrics.db")), "PRAGMA user_version=1000");
  const TempDirectory to;
  WriteFile(to.File("backup.tar"), ArchiveOf(from.path()));
  const absl::Status status = RestoreBackup(to.File("backup.tar"), to.path());
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), Contains("schema version 1000"));
  CHECK_FALSE(std::filesystem::exists(to.File("state.db")));
}

TEST_CASE("a backup replaces no store") {
  const TempDirectory from;
  OpenStore(from.path());
  WriteFile(from.File("backup.tar"), ArchiveOf(from.path()));
  std::filesystem::remove(from.File(GENERATE("state.db", "metrics.db")));
  const absl::Status status = RestoreBackup(from.File("backup.tar"), from.path());
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), Contains("is there already"));
}

TEST_CASE("a tar header holds sizes of more than eight gigabytes too") {
  for (const int64_t bytes :
       {int64_t{0}, int64_t{4096}, (int64_t{1} << 33) - 1, int64_t{1} << 33, int64_t{1} << 50}) {
    const auto entry = storage::ParseTarHeader(storage::TarHeader({.name = "a", .bytes = bytes}));
    REQUIRE(entry.ok());
    CHECK(entry->name == "a");
    CHECK(entry->bytes == bytes);
  }
  CHECK(storage::TarPaddingBytes(0) == 0);
  CHECK(storage::TarPaddingBytes(1) == 511);
  CHECK(storage::TarPaddingBytes(1024) == 0);
}

}  // namespace
}  // namespace shadow
