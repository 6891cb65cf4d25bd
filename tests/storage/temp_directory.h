// A directory of a test's own, and what the tests of the store ask of it.
#pragma once

#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"
#include "storage/sqlite.h"
#include "storage/store.h"

namespace shadow {

// Removed with all that is in it.
class TempDirectory {
 public:
  TempDirectory() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "shadowd_storage_XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::unique_ptr<Store> OpenStore(const std::string& directory, Store::Options options = {}) {
  if (options.boot_id.empty()) options.boot_id = "boot";
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(directory, options);
  INFO(store.status());
  REQUIRE(store.ok());
  return *std::move(store);
}

inline absl::Status OpenStatus(const std::string& directory, const Store::Options& options = {}) {
  return Store::Open(directory, options).status();
}

// Commits and waits for its verdict.
inline absl::Status CommitAndWait(Store& store, v1::WriteBatch batch) {
  auto verdict = std::make_shared<std::promise<absl::Status>>();
  std::future<absl::Status> result = verdict->get_future();
  store.Commit(std::move(batch),
               [verdict](absl::Status status) { verdict->set_value(std::move(status)); });
  return result.get();
}

// Both clocks go on together.
inline void PruneAt(Store& store, absl::Time now) { store.Prune(now, now - absl::UnixEpoch()); }
inline void PruneAt(Store& store, int64_t unix_seconds) {
  PruneAt(store, absl::FromUnixSeconds(unix_seconds));
}

inline google::protobuf::Timestamp At(int64_t unix_seconds, int32_t nanos = 0) {
  google::protobuf::Timestamp time;
  time.set_seconds(unix_seconds);
  time.set_nanos(nanos);
  return time;
}

inline v1::Event* AddEvent(v1::WriteBatch& batch, int64_t revision, const std::string& name,
                           int64_t unix_seconds = 1000) {
  v1::Event* event = batch.add_events();
  event->set_revision(revision);
  event->set_name(name);
  event->set_kind(v1::Event::UPDATED);
  *event->mutable_time() = At(unix_seconds);
  return event;
}

inline v1::Decision* AddDecision(v1::WriteBatch& batch, int64_t id, const std::string& pool,
                                 int64_t unix_seconds = 1000) {
  v1::Decision* decision = batch.add_decisions();
  decision->set_id(id);
  decision->set_pool(pool);
  *decision->mutable_time() = At(unix_seconds);
  return decision;
}

inline void AddPool(v1::WriteBatch& batch, const v1::PoolRecord& record) {
  v1::StoredPool* stored = batch.add_put_pools();
  stored->set_name(record.pool().name());
  stored->set_record(record.SerializeAsString());
}

inline void AddPool(v1::WriteBatch& batch, const std::string& name) {
  v1::PoolRecord record;
  record.mutable_pool()->set_name(name);
  AddPool(batch, record);
}

inline void AddSample(v1::SampleBatch& batch, int64_t unix_seconds, double value,
                      int32_t nanos = 0) {
  v1::Sample* sample = batch.add_samples();
  *sample->mutable_time() = At(unix_seconds, nanos);
  sample->set_value(value);
}

// Asks for a number.
inline int64_t Query(const std::string& path, const std::string& sql) {
  const auto connection = storage::Connection::Open(path, storage::Connection::Access::kReadOnly);
  INFO(connection.status());
  REQUIRE(connection.ok());
  const absl::StatusOr<int64_t> number = (*connection)->QueryInteger(sql);
  INFO(number.status());
  REQUIRE(number.ok());
  return *number;
}

// Runs SQL on a closed store's file, as a stranger would.
inline void RunSql(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  char* error = nullptr;
  const int ran = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error);
  const std::string message = error == nullptr ? "" : error;
  sqlite3_free(error);
  sqlite3_close(db);
  INFO(message);
  REQUIRE(opened == SQLITE_OK);
  REQUIRE(ran == SQLITE_OK);
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

}  // namespace shadow
