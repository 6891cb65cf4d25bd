#include "storage/schema.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/migrations/chunk_migration.h"
#include "storage/migrations/pool_migration.h"

namespace shadow::storage {
namespace {

constexpr mode_t kFileMode = 0600;

// `resources` holds every record of a resource under its name; ids keep the order of creation. The
// *_removed rows of `meta` say how far retention has come.
// `epochs` has one row without a last revision, the present epoch (state_identity.h).
constexpr Migration kStateMigrations[] = {
    {R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE resources(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE TABLE events(
  revision INTEGER PRIMARY KEY,
  time_ns INTEGER NOT NULL,
  name TEXT NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE TABLE decisions(
  id INTEGER PRIMARY KEY,
  pool TEXT NOT NULL,
  time_ns INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX decisions_by_pool ON decisions(pool, id);
CREATE TABLE requests(
  request_id TEXT PRIMARY KEY,
  time_ns INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX requests_by_time ON requests(time_ns);
INSERT INTO meta(key, value) VALUES('events_removed', 0), ('decisions_removed', 0);
INSERT INTO meta(key, value)
  SELECT 'store_id', substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-4' || substr(hex, 14, 3) ||
    '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex, 18, 3) || '-' || substr(hex, 21, 12)
  FROM (SELECT lower(hex(randomblob(16))) AS hex);
)sql"},
    {"", DropProviderNames},
    {R"sql(
CREATE TABLE epochs(epoch TEXT PRIMARY KEY, last_revision INTEGER) STRICT, WITHOUT ROWID;
)sql"},
};

// `samples` holds what is not in a chunk yet. In the order of time, for a tick of all pools is next
// to each other then. `chunks` is in the order in which it was written, and found by pool; so are
// chunks_5m and chunks_1h, of means (samples/resolutions.h).
constexpr Migration kMetricsMigrations[] = {
    {R"sql(
CREATE TABLE series(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE samples(
  time_ns INTEGER NOT NULL,
  series INTEGER NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY(time_ns, series)
) STRICT, WITHOUT ROWID;
)sql"},
    {R"sql(
CREATE TABLE chunks(
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX chunks_by_series ON chunks(series, first_ns);
CREATE INDEX chunks_by_age ON chunks(last_ns);
)sql",
     ChunkOldSamples},
    {R"sql(
CREATE TABLE chunks_5m(
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX chunks_5m_by_series ON chunks_5m(series, first_ns);
CREATE INDEX chunks_5m_by_age ON chunks_5m(last_ns);
CREATE TABLE chunks_1h(
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL,
  first_ns INTEGER NOT NULL,
  last_ns INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX chunks_1h_by_series ON chunks_1h(series, first_ns);
CREATE INDEX chunks_1h_by_age ON chunks_1h(last_ns);
)sql"},
};

// FULL: what was acknowledged survives a power cut too. Group commit makes that cheap, also for
// samples.
constexpr Schema kState = {
    .application_id = 0x53484453,  // "SHDS"
    .migrations = kStateMigrations,
    .pragmas = "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;",
};
constexpr Schema kMetrics = {
    .application_id = 0x5348444d,  // "SHDM"
    .migrations = kMetricsMigrations,
    .pragmas = "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=OFF;",
};

absl::Status Sync(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError(path, "open");
  absl::Status status = fsync(fd) == 0 ? absl::OkStatus() : FileError(path, "fsync");
  close(fd);
  return status;
}

// An empty file of our mode in place of whatever was there, with the files that belong to it.
absl::Status StartFile(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const std::string old = absl::StrCat(path, suffix);
    if (unlink(old.c_str()) != 0 && errno != ENOENT) return FileError(old, "remove");
  }
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode);
  if (fd < 0) return FileError(path, "create");
  close(fd);
  return absl::OkStatus();
}

// Gives a finished file its name, durably.
absl::Status FinishFile(const std::string& from, const std::string& path) {
  if (absl::Status status = Sync(from); !status.ok()) return status;
  if (rename(from.c_str(), path.c_str()) != 0) return FileError(path, "rename");
  return Sync(std::filesystem::path(path).parent_path().string());
}

absl::Status Backup(Connection& connection, const std::string& path, int64_t version) {
  const std::string target = absl::StrCat(path, ".v", version, ".backup");
  const std::string unfinished = absl::StrCat(target, ".new");
  if (absl::Status status = StartFile(unfinished); !status.ok()) return status;
  constexpr char kBackup[] = "VACUUM INTO ?1";
  absl::StatusOr<Statement> statement = connection.Prepare(kBackup);
  if (!statement.ok()) return statement.status();
  statement->BindText(1, unfinished);
  if (absl::Status status = statement->Run(); !status.ok()) return status;
  return FinishFile(unfinished, target);
}

absl::Status Migrate(Connection& connection, const std::string& path, const Schema& schema) {
  const absl::StatusOr<int64_t> version = connection.QueryInteger("PRAGMA user_version");
  if (!version.ok()) return version.status();
  const auto wanted = static_cast<int64_t>(schema.migrations.size());
  if (*version >= wanted) return absl::OkStatus();
  if (*version > 0) {
    if (absl::Status status = Backup(connection, path, *version); !status.ok()) return status;
  }
  Transaction transaction(connection);
  if (absl::Status status = transaction.Begin(Transaction::Kind::kWrite); !status.ok()) {
    return status;
  }
  for (const Migration& migration : schema.migrations.subspan(static_cast<size_t>(*version))) {
    absl::Status status = connection.Execute(migration.sql);
    if (status.ok() && migration.then != nullptr) status = migration.then(connection);
    if (!status.ok()) return status;
  }
  absl::Status status = connection.Execute(absl::StrCat(
      "PRAGMA application_id=", schema.application_id, "; PRAGMA user_version=", wanted));
  return status.ok() ? transaction.Commit() : status;
}

absl::StatusOr<std::unique_ptr<Connection>> OpenAndMigrate(const std::string& path,
                                                           const Schema& schema) {
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open(path, Connection::Access::kReadWrite);
  if (!connection.ok()) return connection;
  Connection& database = **connection;
  const absl::StatusOr<std::string> journal = database.QueryText("PRAGMA journal_mode=WAL");
  if (!journal.ok()) return journal.status();
  if (*journal != "wal") {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": its file system cannot hold a WAL (journal mode ", *journal, ")"));
  }
  absl::Status status =
      database.Execute(absl::StrCat(schema.pragmas, "PRAGMA journal_size_limit=", kWalBytesMax));
  if (status.ok()) status = database.OwnCheckpoints();
  if (status.ok()) status = Migrate(database, path, schema);
  if (!status.ok()) return status;
  return connection;
}

// Whether `found` only says that the disk did not give a page, or that there was no memory for it:
// "Page 7: unable to get the page. error code=266", "On tree page 7 cell 2: failed to get page 9".
// A number that no page can have is told of in other words.
bool PageUnread(const std::string& found) {
  if (found.find("failed to get page ") != std::string::npos) return true;
  constexpr std::string_view kCode = "unable to get the page. error code=";
  const size_t at = found.find(kCode);
  int code = 0;
  return at != std::string::npos && absl::SimpleAtoi(found.substr(at + kCode.size()), &code) &&
         ((code & 0xff) == SQLITE_IOERR || code == SQLITE_NOMEM);
}

absl::Status QuickCheck(Connection& connection, const std::string& path) {
  const absl::StatusOr<std::string> found = connection.QueryText("PRAGMA quick_check(1)");
  if (!found.ok()) return found.status();
  if (*found == "ok") return absl::OkStatus();
  if (PageUnread(*found)) {
    return absl::UnavailableError(absl::StrCat(path, " cannot be read: ", *found));
  }
  return absl::DataLossError(
      absl::StrCat(path, " is damaged and was left as it is; restore it from a backup: ", *found));
}

// In the place of a missing file: finished under another name first.
absl::Status Create(const std::string& path, const Schema& schema) {
  const std::string unfinished = absl::StrCat(path, ".new");
  if (absl::Status status = StartFile(unfinished); !status.ok()) return status;
  const absl::Status status = OpenAndMigrate(unfinished, schema).status();
  if (!status.ok()) return status;
  // Closing the connection has moved everything from the WAL into the file, or the WAL is there.
  const std::string wal = absl::StrCat(unfinished, "-wal");
  const absl::StatusOr<bool> wal_is_there = IsThere(wal);
  if (!wal_is_there.ok()) return wal_is_there.status();
  if (*wal_is_there) {
    return absl::UnavailableError(absl::StrCat(wal, " cannot be moved into its database"));
  }
  return FinishFile(unfinished, path);
}

}  // namespace

const Schema& StateSchema() { return kState; }
const Schema& MetricsSchema() { return kMetrics; }

absl::Status FileError(const std::string& path, const char* action) {
  const int error = errno;
  const absl::Status status = absl::ErrnoToStatus(error, absl::StrCat(path, ": cannot ", action));
  const bool is_full = error == ENOSPC || error == EDQUOT;
  const bool is_want = absl::IsResourceExhausted(status) && !is_full;
  return is_want || absl::IsUnknown(status) ? absl::UnavailableError(status.message()) : status;
}

absl::StatusOr<bool> IsThere(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT) return false;
  return FileError(path, "look for it");
}

absl::Status CheckDatabase(const std::string& path, const Schema& schema) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return FileError(path, "stat");
    const std::string wal = absl::StrCat(path, "-wal");
    const absl::StatusOr<bool> wal_is_there = IsThere(wal);
    if (!wal_is_there.ok()) return wal_is_there.status();
    if (!*wal_is_there) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(path, " is missing, but ", wal, " is there"));
  }
  if (!S_ISREG(info.st_mode)) return absl::DataLossError(absl::StrCat(path, " is no file"));
  if (info.st_size == 0) return absl::DataLossError(absl::StrCat(path, " is empty"));
  const absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open(path, Connection::Access::kReadWrite);
  if (!connection.ok()) return connection.status();
  (*connection)->KeepWalOnClose();
  const absl::StatusOr<int64_t> id = (*connection)->QueryInteger("PRAGMA application_id");
  if (!id.ok()) return id.status();
  if (*id != schema.application_id) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a shadowd store: its SQLite application_id is ", *id, ", not ",
                     schema.application_id));
  }
  const absl::StatusOr<int64_t> version = (*connection)->QueryInteger("PRAGMA user_version");
  if (!version.ok()) return version.status();
  const auto known = static_cast<int64_t>(schema.migrations.size());
  if (*version > known) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " has schema version ", *version, ", but this shadowd knows versions up to ", known,
        "; start the newer shadowd or restore a backup"));
  }
  return QuickCheck(**connection, path);
}

absl::StatusOr<std::unique_ptr<Connection>> OpenDatabase(const std::string& path,
                                                         const Schema& schema) {
  const absl::StatusOr<bool> is_there = IsThere(path);
  if (!is_there.ok()) return is_there.status();
  if (!*is_there) {
    if (absl::Status created = Create(path, schema); !created.ok()) return created;
  }
  unlink(absl::StrCat(path, kCopySuffix).c_str());
  unlink(absl::StrCat(path, kCopySuffix, "-journal").c_str());
  if (chmod(path.c_str(), kFileMode) != 0) return FileError(path, "chmod");
  return OpenAndMigrate(path, schema);
}

}  // namespace shadow::storage
