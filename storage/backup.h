// A backup of the store: a tar archive (POSIX ustar) of state.db, then metrics.db.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shadow {

// A copy of both files that nothing changes any more. Owned by one thread.
class Backup {
 public:
  // Copies the store in `directory`, which may be in use. Readers do not wait. The WAL cannot be
  // cut meanwhile, and the writer waits only once it is very large (kWalBytesUrgent). The copies
  // are below `directory` and have no name once this returns. The samples are as new as the rest or
  // newer, as after a crash. Blocks. `cancelled` is asked all the while. kCancelled: it said so.
  // kResourceExhausted: the file system would be left with less than kFreeBytesMin. Other errors as
  // of storage/sqlite.h.
  static absl::StatusOr<std::unique_ptr<Backup>> Make(const std::string& directory,
                                                      const std::function<bool()>& cancelled);
  ~Backup();
  Backup(const Backup&) = delete;
  Backup& operator=(const Backup&) = delete;

  // The next bytes of the archive, at most `bytes_max`; empty: that was all.
  absl::StatusOr<std::string> Read(size_t bytes_max);

  // What must be free besides the copy: the daemon goes on writing.
  static constexpr int64_t kFreeBytesMin = 64 << 20;

 private:
  struct File {
    int fd = -1;
    int64_t bytes = 0;
    std::string header;  // Of the archive, before its content.
  };

  Backup() = default;

  std::array<File, 2> files_;
  size_t file_ = 0;     // Being read.
  int64_t offset_ = 0;  // In it, its header included.
};

// Puts the store of archive `path` into `directory`, whose StateLock the caller must hold; it may
// be opened there. All or nothing, and durable. kFailedPrecondition: a store is there already, or
// the archive's is of a newer schema. kDataLoss: this is no backup, or it is damaged or cut short.
absl::Status RestoreBackup(const std::string& path, const std::string& directory);

}  // namespace shadow
