// A thin layer over sqlite3: who owns what, and absl::Status for its result codes. Nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace shadow::storage {

// What every method below fails with; the message names the file.
//   kInvalidArgument    a constraint, a value that is too big: the statement's own fault, the
//                       transaction goes on
//   kDataLoss           damage, or not an SQLite file
//   kResourceExhausted  the disk is full, or a quota is used up
//   kUnavailable        other I/O errors, locked for longer than 5 s, no permission, no memory
//   kInternal           anything else: a bug
absl::Status SqliteError(sqlite3* db, int code);

// One prepared statement. Parameters and columns count as in sqlite3: parameters from 1, columns
// from 0. Used by one thread at a time; its Connection must outlive it.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* stmt) : stmt_(stmt) {}

  // The value is copied. An error shows at the next Next or Run.
  void Bind(int parameter, int64_t number);
  void Bind(int parameter, double number);
  void BindText(int parameter, std::string_view text);
  void BindBlob(int parameter, std::string_view bytes);

  // Steps once. True: a row is there. False: the end, and it can be bound and run again.
  absl::StatusOr<bool> Next();

  // Steps to the end and ignores rows.
  absl::Status Run();

  // Drops the rest of the rows; parameters stay bound. An unfinished statement keeps its snapshot.
  void Reset();

  // Of the row; views hold until the next call of Next, Run or Reset.
  int64_t Integer(int column) const;
  double Real(int column) const;
  bool IsNull(int column) const;
  std::string_view Bytes(int column) const;  // Text or blob.

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* stmt) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> stmt_;
  int bind_error_ = 0;
};

// One connection to one file, used by one thread at a time.
class Connection {
 public:
  enum class Access { kReadOnly, kReadWrite };
  enum class Checkpoint {
    kPassive,   // What can be done without waiting for anybody.
    kTruncate,  // Waits for readers, up to the busy timeout, then starts the WAL anew.
  };

  // Does not create the file. A read-only connection never checkpoints.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, Access access);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  absl::StatusOr<Statement> Prepare(std::string_view sql);
  absl::Status PrepareInto(std::string_view sql, Statement& statement);

  // One or more statements without parameters; rows are ignored.
  absl::Status Execute(const std::string& sql);

  // The first column of the only row.
  absl::StatusOr<int64_t> QueryInteger(std::string_view sql);
  absl::StatusOr<std::string> QueryText(std::string_view sql);

  // From now on a statement ends with an error once `stop` says so; it is asked every few thousand
  // steps.
  void StopWhen(std::function<bool()> stop);

  // Without it the last connection to close checkpoints and removes the WAL.
  void KeepWalOnClose();

  // From now on no commit checkpoints, and wal_bytes() is known after each.
  absl::Status OwnCheckpoints();
  int64_t wal_bytes() const { return wal_pages_ * page_bytes_; }

  // Of the WAL's file, which keeps its size when it begins anew; 0 without a WAL.
  int64_t wal_file_bytes() const;

  // Rolls back the transaction that is open, if one is. Some errors have rolled back already.
  absl::Status EndTransaction();

  // kTruncate that finds readers in its way is no error: wal_bytes() stays.
  absl::Status RunCheckpoint(Checkpoint checkpoint);

 private:
  explicit Connection(sqlite3* db) : db_(db) {}

  sqlite3* db_;
  int64_t wal_pages_ = 0;
  int64_t page_bytes_ = 0;
  std::function<bool()> stop_;
};

// BEGIN to COMMIT, or to ROLLBACK when it goes out of scope without a successful Commit.
class Transaction {
 public:
  enum class Kind { kRead, kWrite };

  explicit Transaction(Connection& connection) : connection_(connection) {}
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  absl::Status Begin(Kind kind);
  absl::Status Commit();

 private:
  Connection& connection_;
  bool open_ = false;
};

}  // namespace shadow::storage
