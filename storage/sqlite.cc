#include "storage/sqlite.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow::storage {
namespace {

constexpr int kBusyTimeoutMs = 5000;
constexpr int kCheckpointTimeoutMs = 20;
constexpr int kStepsBetweenStops = 10'000;

// `error`: what the system said of an I/O error.
absl::StatusCode CodeOf(int sqlite_code, int error) {
  switch (sqlite_code & 0xff) {  // The primary code of an extended one.
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
      return absl::StatusCode::kInvalidArgument;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return error == ENOSPC || error == EDQUOT ? absl::StatusCode::kResourceExhausted
                                                : absl::StatusCode::kUnavailable;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_NOMEM:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

int OnWal(void* pages, sqlite3*, const char*, int pages_in_wal) {
  *static_cast<int64_t*>(pages) = pages_in_wal;
  return SQLITE_OK;
}

}  // namespace

absl::Status SqliteError(sqlite3* db, int code) {
  // Without memory for a connection there is none.
  const char* path = db == nullptr ? nullptr : sqlite3_db_filename(db, "main");
  return absl::Status(CodeOf(code, sqlite3_system_errno(db)),
                      absl::StrCat(path == nullptr ? "SQLite" : path, ": ", sqlite3_errmsg(db),
                                   " (SQLite code ", code, ")"));
}

void Statement::Finalize::operator()(sqlite3_stmt* stmt) const { sqlite3_finalize(stmt); }

void Statement::Bind(int parameter, int64_t number) {
  const int code = sqlite3_bind_int64(stmt_.get(), parameter, number);
  if (code != SQLITE_OK) bind_error_ = code;
}

void Statement::Bind(int parameter, double number) {
  const int code = sqlite3_bind_double(stmt_.get(), parameter, number);
  if (code != SQLITE_OK) bind_error_ = code;
}

void Statement::BindText(int parameter, std::string_view text) {
  // A null pointer would bind NULL, not the empty text.
  const int code = sqlite3_bind_text64(stmt_.get(), parameter, text.empty() ? "" : text.data(),
                                       text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) bind_error_ = code;
}

void Statement::BindBlob(int parameter, std::string_view bytes) {
  const int code = sqlite3_bind_blob64(stmt_.get(), parameter, bytes.empty() ? "" : bytes.data(),
                                       bytes.size(), SQLITE_TRANSIENT);
  if (code != SQLITE_OK) bind_error_ = code;
}

absl::StatusOr<bool> Statement::Next() {
  int code = std::exchange(bind_error_, SQLITE_OK);
  if (code == SQLITE_OK) code = sqlite3_step(stmt_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    Reset();
    return false;
  }
  absl::Status status = SqliteError(sqlite3_db_handle(stmt_.get()), code);
  Reset();
  return status;
}

absl::Status Statement::Run() {
  while (true) {
    const absl::StatusOr<bool> row = Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
  }
}

// Its result repeats the error of the last step, which Next has returned.
void Statement::Reset() { sqlite3_reset(stmt_.get()); }

int64_t Statement::Integer(int column) const { return sqlite3_column_int64(stmt_.get(), column); }

double Statement::Real(int column) const { return sqlite3_column_double(stmt_.get(), column); }

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(stmt_.get(), column) == SQLITE_NULL;
}

std::string_view Statement::Bytes(int column) const {
  const void* bytes = sqlite3_column_blob(stmt_.get(), column);
  if (bytes == nullptr) return {};
  const int size = sqlite3_column_bytes(stmt_.get(), column);
  return {static_cast<const char*>(bytes), static_cast<size_t>(size)};
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& path,
                                                             Access access) {
  const int flags = access == Access::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &db,
                                   flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  std::unique_ptr<Connection> connection(new Connection(db));
  if (code != SQLITE_OK) return SqliteError(db, code);
  sqlite3_busy_timeout(db, kBusyTimeoutMs);
  if (access == Access::kReadOnly) connection->KeepWalOnClose();
  return connection;
}

Connection::~Connection() { sqlite3_close_v2(db_); }

absl::StatusOr<Statement> Connection::Prepare(std::string_view sql) {
  sqlite3_stmt* stmt = nullptr;
  const int code =
      sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &stmt, nullptr);
  if (code != SQLITE_OK) return SqliteError(db_, code);
  return Statement(stmt);
}

absl::Status Connection::PrepareInto(std::string_view sql, Statement& statement) {
  absl::StatusOr<Statement> prepared = Prepare(sql);
  if (!prepared.ok()) return prepared.status();
  statement = *std::move(prepared);
  return absl::OkStatus();
}

void Connection::StopWhen(std::function<bool()> stop) {
  stop_ = std::move(stop);
  sqlite3_progress_handler(
      db_, kStepsBetweenStops,
      [](void* connection) { return static_cast<Connection*>(connection)->stop_() ? 1 : 0; }, this);
}

absl::Status Connection::Execute(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : SqliteError(db_, code);
}

absl::StatusOr<int64_t> Connection::QueryInteger(std::string_view sql) {
  absl::StatusOr<Statement> statement = Prepare(sql);
  if (!statement.ok()) return statement.status();
  const absl::StatusOr<bool> row = statement->Next();
  if (!row.ok()) return row.status();
  if (!*row) return absl::InternalError("the query has no row");
  return statement->Integer(0);
}

absl::StatusOr<std::string> Connection::QueryText(std::string_view sql) {
  absl::StatusOr<Statement> statement = Prepare(sql);
  if (!statement.ok()) return statement.status();
  const absl::StatusOr<bool> row = statement->Next();
  if (!row.ok()) return row.status();
  if (!*row) return absl::InternalError("the query has no row");
  return std::string(statement->Bytes(0));
}

void Connection::KeepWalOnClose() {
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

absl::Status Connection::OwnCheckpoints() {
  const absl::StatusOr<int64_t> page_bytes = QueryInteger("PRAGMA page_size");
  if (!page_bytes.ok()) return page_bytes.status();
  page_bytes_ = *page_bytes;
  // The pragma takes the hook away, so it comes first.
  if (absl::Status status = Execute("PRAGMA wal_autocheckpoint=0"); !status.ok()) return status;
  sqlite3_wal_hook(db_, OnWal, &wal_pages_);
  return absl::OkStatus();
}

int64_t Connection::wal_file_bytes() const {
  struct stat info {};
  const char* path = sqlite3_filename_wal(sqlite3_db_filename(db_, "main"));
  return path != nullptr && stat(path, &info) == 0 ? info.st_size : 0;
}

absl::Status Connection::EndTransaction() {
  return sqlite3_get_autocommit(db_) != 0 ? absl::OkStatus() : Execute("ROLLBACK");
}

absl::Status Connection::RunCheckpoint(Checkpoint checkpoint) {
  const int mode =
      checkpoint == Checkpoint::kPassive ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE;
  // A long read, such as a backup's, keeps the WAL from being cut: commits must not wait for it.
  sqlite3_busy_timeout(db_, kCheckpointTimeoutMs);
  int pages = -1;
  const int code = sqlite3_wal_checkpoint_v2(db_, nullptr, mode, &pages, nullptr);
  sqlite3_busy_timeout(db_, kBusyTimeoutMs);
  if (pages >= 0) wal_pages_ = pages;
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return absl::OkStatus();
  return SqliteError(db_, code);
}

Transaction::~Transaction() {
  // Where there is no memory for it, the next Begin does it, and no reader comes before that.
  if (open_) connection_.EndTransaction().IgnoreError();
}

absl::Status Transaction::Begin(Kind kind) {
  if (absl::Status ended = connection_.EndTransaction(); !ended.ok()) return ended;
  absl::Status status = connection_.Execute(kind == Kind::kRead ? "BEGIN" : "BEGIN IMMEDIATE");
  open_ = status.ok();
  return status;
}

absl::Status Transaction::Commit() {
  absl::Status status = connection_.Execute("COMMIT");
  if (status.ok()) open_ = false;
  return status;
}

}  // namespace shadow::storage
