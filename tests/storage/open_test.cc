#include <sys/stat.h>

#include <fstream>

#include "storage/schema.h"
#include "storage/store.h"
#include "tests/storage/temp_directory.h"

namespace shadow {
namespace {

using Catch::Matchers::Contains;

// A store of several pages in each file, closed.
void MakeStoreOfPages(const std::string& directory) {
  const std::unique_ptr<Store> store = OpenStore(directory);
  v1::WriteBatch batch;
  v1::SampleBatch* samples = batch.add_samples();
  samples->set_pool("pools/web");
  for (int64_t i = 1; i <= 2000; ++i) {
    AddEvent(batch, i, "pools/web");
    AddSample(*samples, i, 1);
  }
  REQUIRE(CommitAndWait(*store, batch).ok());
}

void Overwrite(const std::string& path, std::streamoff offset, size_t size) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(offset);
  file << std::string(size, '\xff');
  file.flush();
  REQUIRE(file.good());
}

TEST_CASE("a damaged file is refused as data loss and is not changed") {
  const TempDirectory directory;
  MakeStoreOfPages(directory.path());
  const std::string file = directory.File(GENERATE("state.db", "metrics.db"));
  SECTION("pages in the middle") { Overwrite(file, 4096, 20000); }
  SECTION("the header") { Overwrite(file, 0, 64); }
  SECTION("nothing is left") { std::filesystem::resize_file(file, 0); }
  SECTION("a directory is in its place") {
    std::filesystem::remove(file);
    std::filesystem::create_directory(file);
  }
  SECTION("the end is missing") { std::filesystem::resize_file(file, 3 * 4096); }
  const std::string before = ReadFile(file);
  const absl::Status status = OpenStatus(directory.path());
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK_THAT(std::string(status.message()), Contains(file));
  CHECK(ReadFile(file) == before);
}

TEST_CASE("a file that is whole, but not as it is written here, is refused as data loss") {
  const TempDirectory directory;
  MakeStoreOfPages(directory.path());
  struct Damage {
    const char* file;
    const char* sql;
  };
  const Damage damage = GENERATE(
      Damage{"state.db", "DELETE FROM meta WHERE key = 'store_id'"},
      Damage{"state.db", "DROP TABLE meta"}, Damage{"state.db", "DROP TABLE events"},
      Damage{"state.db", "INSERT INTO resources(name, kind, data) VALUES('x', 99, x'00')"},
      Damage{"state.db", "INSERT INTO resources(name, kind, data) VALUES('x', 2, x'ffff')"},
      Damage{"metrics.db", "DROP TABLE chunks"}, Damage{"metrics.db", "DROP TABLE samples"});
  RunSql(directory.File(damage.file), damage.sql);
  INFO(damage.sql);
  absl::Status status = OpenStatus(directory.path());
  if (status.ok()) status = OpenStore(directory.path())->Load().status();
  INFO(status);
  CHECK(absl::IsDataLoss(status));
}

TEST_CASE("a WAL whose file is missing is refused as data loss") {
  const TempDirectory directory;
  MakeStoreOfPages(directory.path());
  std::filesystem::rename(directory.File("state.db"), directory.File("state.db-wal"));
  CHECK(OpenStatus(directory.path()).code() == absl::StatusCode::kDataLoss);
  CHECK(!std::filesystem::exists(directory.File("state.db")));
}

TEST_CASE("a newer schema is refused, and both versions are named") {
  const TempDirectory directory;
  MakeStoreOfPages(directory.path());
  const std::string name = GENERATE("state.db", "metrics.db");
  const storage::Schema& schema =
      name == "state.db" ? storage::StateSchema() : storage::MetricsSchema();
  const std::string file = directory.File(name);
  RunSql(file, "PRAGMA user_version=4711");
  const std::string before = ReadFile(file);
  const absl::Status status = OpenStatus(directory.path());
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(status.message()), Contains("version 4711"));
  CHECK_THAT(std::string(status.message()),
             Contains("up to " + std::to_string(schema.migrations.size())));
  CHECK(ReadFile(file) == before);
}

TEST_CASE("another program's SQLite file is refused, and nothing is created beside it") {
  const TempDirectory directory;
  const std::string file = directory.File(GENERATE("state.db", "metrics.db"));
  RunSql(file, "CREATE TABLE bookmarks(url TEXT); PRAGMA user_version=1;");
  const std::string before = ReadFile(file);
  const absl::Status status = OpenStatus(directory.path());
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(status.message()), Contains("not a shadowd store"));
  CHECK(ReadFile(file) == before);
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    files += entry.path() == file ? 0 : 1;
  }
  CHECK(files == 0);
}

TEST_CASE("the two files of a store cannot take each other's place") {
  const TempDirectory directory;
  MakeStoreOfPages(directory.path());
  std::filesystem::copy_file(directory.File("metrics.db"), directory.File("state.db"),
                             std::filesystem::copy_options::overwrite_existing);
  CHECK(OpenStatus(directory.path()).code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("a creation that was cut off is begun again") {
  const TempDirectory directory;
  std::ofstream(directory.File("state.db.new")) << "half of a file";
  std::ofstream(directory.File("state.db.new-wal")) << "half of a WAL";
  const std::unique_ptr<Store> store = OpenStore(directory.path());
  CHECK(store->Load().ok());
  CHECK(!std::filesystem::exists(directory.File("state.db.new")));
}

TEST_CASE("a directory that is not there is an error, not a new store") {
  const TempDirectory directory;
  CHECK(!OpenStatus(directory.File("missing")).ok());
  CHECK(!std::filesystem::exists(directory.File("missing")));
}

constexpr int32_t kTestId = 0x1234;
constexpr storage::Migration kOne[] = {
    {"CREATE TABLE one(x INTEGER) STRICT; INSERT INTO one VALUES(11);"}};
constexpr storage::Migration kTwo[] = {
    kOne[0], {"ALTER TABLE one ADD COLUMN y INTEGER NOT NULL DEFAULT 5;"}};
constexpr storage::Migration kBroken[] = {kOne[0], {"DELETE FROM one; CREATE TABLE one(x);"}};
constexpr storage::Schema kSchemaOne = {kTestId, kOne, ""};
constexpr storage::Schema kSchemaTwo = {kTestId, kTwo, ""};
constexpr storage::Schema kSchemaBroken = {kTestId, kBroken, ""};

TEST_CASE("an older schema is migrated after a backup") {
  const TempDirectory directory;
  const std::string path = directory.File("some.db");
  REQUIRE(storage::OpenDatabase(path, kSchemaOne).ok());
  CHECK(Query(path, "PRAGMA user_version") == 1);
  CHECK(Query(path, "PRAGMA application_id") == kTestId);
  REQUIRE(storage::CheckDatabase(path, kSchemaTwo).ok());
  CHECK(Query(path, "PRAGMA user_version") == 1);  // A check migrates nothing.

  REQUIRE(storage::OpenDatabase(path, kSchemaTwo).ok());
  CHECK(Query(path, "PRAGMA user_version") == 2);
  CHECK(Query(path, "SELECT x + y FROM one") == 16);

  const std::string backup = path + ".v1.backup";
  CHECK(Query(backup, "PRAGMA user_version") == 1);
  CHECK(Query(backup, "PRAGMA application_id") == kTestId);
  CHECK(Query(backup, "SELECT x FROM one") == 11);
  struct stat info;
  REQUIRE(stat(backup.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(storage::CheckDatabase(path, kSchemaOne).code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("a migration that fails leaves the old version whole") {
  const TempDirectory directory;
  const std::string path = directory.File("some.db");
  REQUIRE(storage::OpenDatabase(path, kSchemaOne).ok());
  CHECK(!storage::OpenDatabase(path, kSchemaBroken).ok());
  CHECK(Query(path, "PRAGMA user_version") == 1);
  CHECK(Query(path, "SELECT x FROM one") == 11);
  CHECK(storage::OpenDatabase(path, kSchemaTwo).ok());  // Also over the backup of the first try.
}

}  // namespace
}  // namespace shadow
