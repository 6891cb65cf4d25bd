#include "storage/room/room.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

constexpr char kBallastFile[] = "/ballast";

}  // namespace

absl::StatusOr<int64_t> Room::FreeBytesOf(const std::string& directory) {
  struct statvfs info {};
  if (statvfs(directory.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(directory, ": cannot read its free space"));
  }
  return static_cast<int64_t>(info.f_bavail * info.f_frsize);
}

bool Room::RefusesBytes(const std::string& directory, int64_t bytes) {
  const int fd = open(directory.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
  // Not every file system has files without a name. The inode may be what is refused.
  if (fd < 0) return errno == ENOSPC || errno == EDQUOT;
  const int error = posix_fallocate(fd, 0, bytes);
  close(fd);
  return error == ENOSPC || error == EDQUOT;
}

Room::Room(std::string directory, int64_t ballast_bytes, FreeBytes free_bytes, Refuses refuses)
    : directory_(std::move(directory)),
      ballast_bytes_(ballast_bytes),
      free_bytes_(std::move(free_bytes)),
      refuses_(std::move(refuses)),
      ballast_(directory_ + kBallastFile, ballast_bytes) {
  LookNow();
}

Room::Look Room::LookNow() {
  const std::lock_guard lock(mutex_);
  auto free = free_bytes_(directory_);
  if (!free.ok()) return last_;
  if (!ballast_.whole() && *free >= ballast_.missing_bytes() + kLowBytes) {
    // A quota may have less room than the file system: then it stays as it is.
    if (ballast_.Fill().ok()) free = free_bytes_(directory_);
    if (!free.ok()) return last_;
  }
  const bool ample = ballast_.whole() && *free >= kAmpleBytes;
  ample_looks_ = ample ? ample_looks_ + 1 : 0;
  if (!ballast_.whole() || *free < kLowBytes) {
    last_.low = true;
  } else if (ample_looks_ >= kAmpleLooks) {
    last_.low = false;
  }
  last_.free_bytes = *free;
  last_.wanted_bytes = ballast_.missing_bytes() + kAmpleBytes;
  last_.scarce = 2 * ballast_.bytes() < ballast_bytes_;
  return last_;
}

Room::Look Room::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

bool Room::ballast_is_whole() const {
  const std::lock_guard lock(mutex_);
  return ballast_.whole();
}

bool Room::IsFull() const {
  const auto free = free_bytes_(directory_);
  if (free.ok() && *free < storage::Ballast::kSliceBytes) return true;
  return refuses_(directory_, storage::Ballast::kSliceBytes);
}

bool Room::Explains(const absl::Status& error) const {
  // An error that SQLite has no code for, such as that of its shared memory, only comes with it.
  return absl::IsResourceExhausted(error) || (absl::IsUnavailable(error) && IsFull());
}

bool Room::Release() {
  const std::lock_guard lock(mutex_);
  return ReleaseSlice();
}

bool Room::ReleaseIfFull() {
  const std::lock_guard lock(mutex_);
  return IsFull() && ReleaseSlice();
}

bool Room::ReleaseSlice() {
  if (!ballast_.Release()) return false;
  ample_looks_ = 0;
  last_.low = true;
  last_.wanted_bytes = ballast_.missing_bytes() + kAmpleBytes;
  last_.scarce = 2 * ballast_.bytes() < ballast_bytes_;
  return true;
}

}  // namespace shadow
