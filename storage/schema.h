// The two files: what is in them, and how they are opened, checked, created and migrated.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/sqlite.h"

namespace shadow::storage {

struct Migration {
  const char* sql;
  // What SQL cannot do; after `sql`, in the same transaction.
  absl::Status (*then)(Connection& database) = nullptr;
};

// Every time in both files is in nanoseconds since the Unix epoch.
struct Schema {
  int32_t application_id;  // Of the SQLite header: marks the file as ours.
  // What leads from version i (`PRAGMA user_version`, 0 = empty) to i + 1. Never edited after a
  // release: a change is a new entry.
  std::span<const Migration> migrations;
  const char* pragmas;  // For its one writing connection.
};

const Schema& StateSchema();
const Schema& MetricsSchema();

// The WAL is checkpointed at this size, and its file is cut back to it.
inline constexpr int64_t kWalBytesMax = 16 << 20;

// Of a copy while a backup makes it. OpenDatabase removes one that a crash has left.
inline constexpr char kCopySuffix[] = ".copy";

// As of errno. kResourceExhausted: the disk is full, or a quota is used up. kUnavailable: other I/O
// errors, no descriptor, no memory. Other codes as absl has them.
absl::Status FileError(const std::string& path, const char* action);

// False only where the system says that there is no such file: what cannot be looked at may be a
// store.
absl::StatusOr<bool> IsThere(const std::string& path);

// OK if `path` is missing, or ours, whole (quick_check) and of a version that `schema` can migrate.
// Neither the file nor its WAL is changed. kFailedPrecondition: another program's file, or a newer
// version. kDataLoss: damaged, empty, or missing while its WAL is there.
absl::Status CheckDatabase(const std::string& path, const Schema& schema);

// The writing connection to `path`, which CheckDatabase found good. A missing file is created,
// whole or not at all. An older one is copied to `path`.v<version>.backup and migrated in one
// transaction. Mode 0600.
absl::StatusOr<std::unique_ptr<Connection>> OpenDatabase(const std::string& path,
                                                         const Schema& schema);

}  // namespace shadow::storage
