// A disk of a given size, or one that fails, without root: what a test's stores see of it.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace shadow {

// The default VFS of SQLite while it lives: what would make the files of `directory` larger than
// the disk fails with SQLITE_FULL. One at a time; the stores on it must be closed before it goes.
class SmallDisk {
 public:
  explicit SmallDisk(std::string directory) : directory_(std::move(directory)) {
    shim_ = *real_;
    shim_.zName = "small-disk";
    shim_.pAppData = this;
    shim_.xOpen = Open;
    REQUIRE(sqlite3_vfs_register(&shim_, 1) == SQLITE_OK);
  }
  ~SmallDisk() {
    sqlite3_vfs_unregister(&shim_);
    sqlite3_vfs_register(real_, 1);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // From now on so much is free.
  void SetFree(int64_t bytes) { capacity_ = Used() + bytes; }
  int64_t Free() const { return std::max<int64_t>(0, capacity_ - Used()); }

  // So many of the next writes, wherever they go.
  void FailWrites(int count) { failing_ = count; }

 private:
  // Of a file: SQLite's, but for the writes.
  struct Methods {
    sqlite3_io_methods methods;  // First: a file points to them.
    SmallDisk* disk;
    const sqlite3_io_methods* real;
  };

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags,
                  int* out_flags) {
    auto* const disk = static_cast<SmallDisk*>(vfs->pAppData);
    const int code = disk->real_->xOpen(disk->real_, name, file, flags, out_flags);
    if (code != SQLITE_OK || file->pMethods == nullptr) return code;
    const std::lock_guard lock(disk->mutex_);
    const sqlite3_io_methods* real = file->pMethods;
    const auto [entry, added] = disk->methods_.try_emplace(real, Methods{*real, disk, real});
    if (added) entry->second.methods.xWrite = Write;
    file->pMethods = &entry->second.methods;
    return code;
  }

  static int Write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
    const auto* methods = reinterpret_cast<const Methods*>(file->pMethods);
    SmallDisk& disk = *methods->disk;
    if (disk.failing_ > 0) {
      --disk.failing_;
      return SQLITE_IOERR_WRITE;
    }
    sqlite3_int64 size = 0;
    methods->real->xFileSize(file, &size);
    const int64_t growth = offset + count - size;
    if (growth > 0 && growth > disk.Free()) return SQLITE_FULL;
    return methods->real->xWrite(file, bytes, count, offset);
  }

  int64_t Used() const {
    int64_t used = 0;
    std::error_code gone;  // Files come and go.
    for (const auto& entry : std::filesystem::directory_iterator(directory_, gone)) {
      const auto bytes = entry.file_size(gone);
      if (!gone) used += static_cast<int64_t>(bytes);
    }
    return used;
  }

  const std::string directory_;
  sqlite3_vfs* const real_ = sqlite3_vfs_find(nullptr);
  sqlite3_vfs shim_ = {};
  std::mutex mutex_;
  std::map<const sqlite3_io_methods*, Methods> methods_;  // Of each kind of file.
  std::atomic<int64_t> capacity_ = int64_t{1} << 40;
  std::atomic<int> failing_ = 0;
};

}  // namespace shadow
